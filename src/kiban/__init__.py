"""Kiban: a company's documents become its own model, on its own machines."""
