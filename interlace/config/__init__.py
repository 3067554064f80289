"""Options: files, environment and calls, resolved to one table."""
