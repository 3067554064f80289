"""Priors: densities, what they are put on, and the penalty that they make."""
