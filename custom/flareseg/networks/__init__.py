"""Networks that a task may name."""

from flareseg.networks.registry import build_network, initial_state, local_names

__all__ = ["build_network", "initial_state", "local_names"]
