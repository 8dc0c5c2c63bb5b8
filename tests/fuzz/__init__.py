"""Readers of files and messages against damaged and hostile content: 20 s in ``make test``, longer as ``make fuzz``."""
