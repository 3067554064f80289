"""The same model fitted again."""
