"""Networks that a task may name."""

from flareseg.networks.registry import build_network, initial_state

__all__ = ["build_network", "initial_state"]
