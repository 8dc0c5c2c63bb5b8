"""Augmentations that a task may list, one module each: their settings, and how they are built for a batch.

Imports settings, and the transforms once one is built: reading a task needs no PyTorch.
"""
