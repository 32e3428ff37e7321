"""The parts of the stack: what they are, starting, watching and stopping them, and what they need.

`machine` is read by `infra/setup` before anything is installed, so it knows the standard library alone.
"""
