"""Formulas: bars and offsets taken out, expressions evaluated, errors that point into the text."""
