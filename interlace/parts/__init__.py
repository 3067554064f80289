"""Data larger than memory: read piece by piece, coded in parts, fitted by sums over them."""
