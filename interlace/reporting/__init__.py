"""A fit in words, tables, LaTeX and R."""
