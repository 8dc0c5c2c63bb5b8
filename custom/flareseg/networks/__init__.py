"""Networks that a task may name, and which of their parameters stay at a site.

Imports settings only.
"""

from flareseg.networks.registry import build_network, initial_state, local_names

__all__ = ["build_network", "initial_state", "local_names"]
