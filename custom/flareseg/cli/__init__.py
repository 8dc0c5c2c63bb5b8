"""The ``flareseg`` command."""
