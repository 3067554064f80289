"""Derivatives of densities that are written once: truncated Taylor series."""
