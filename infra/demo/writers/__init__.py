"""One writer per binary format. Each takes an Original and returns the bytes of the file."""
