"""Edits of the numerics that tests have to notice; see run.py."""
