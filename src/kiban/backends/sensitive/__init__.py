"""Detectors of secrets and personal data, one library a file; `detector` asks them all."""
