"""Predictions with their uncertainty, averages over the random effects, and draws."""
