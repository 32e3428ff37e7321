"""Processes that listen. No logic of their own."""
