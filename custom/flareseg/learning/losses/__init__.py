"""Losses that a task may name, one module each, and what asks them for annotated labels alone.

Imports settings; a loss loads PyTorch when it is built.
"""
