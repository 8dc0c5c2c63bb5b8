"""A site's data: listed, prepared, cached and sampled.

The modules here read prepared data in training; ``faults`` lies below them, ``check`` and ``prepare`` above.
"""
