"""Data: from a data frame to a problem's arrays, and new data coded the same way."""
