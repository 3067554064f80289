"""Families of counts with a part for zeros: inflated, truncated, hurdles."""
