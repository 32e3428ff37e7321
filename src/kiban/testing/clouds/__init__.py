"""Local servers that answer as the documentation of a cloud says it answers, with its bad days."""
