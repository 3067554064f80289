"""Odd calls, odd files and odd command lines, and how they must end."""
