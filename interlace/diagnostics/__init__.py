"""What is said of a model and of its fit beside the estimates."""
