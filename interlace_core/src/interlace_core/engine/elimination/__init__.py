"""Factorised patterns of the random effects' precision, behind one plan."""
