"""Networks that a task may name, one module each, and which of their parameters stay at a site.

Imports settings only; a network's module loads PyTorch when it is built. ``nets`` holds those that MONAI has not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flareseg.networks.state import State, build_network, frozen_names, initial_state, local_names, unsent_names

__all__ = ["State", "build_network", "frozen_names", "initial_state", "local_names", "unsent_names"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from flareseg.networks import state

        return getattr(state, name)
    raise AttributeError(name)
