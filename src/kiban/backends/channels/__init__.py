"""Chat platforms, one a file."""
