"""What is installed, whether it meets its contract, and who is to blame."""
