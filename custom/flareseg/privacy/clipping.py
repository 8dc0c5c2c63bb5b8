"""The bound on a site's update: scope ``clipped``."""

from __future__ import annotations

import math

from flareseg.networks.state import State


def clip_update(update: State, max_norm: float) -> tuple[State, float]:
    """Scale an update down to a norm, if it is longer.

    Args:
        update: change of each parameter and buffer. Integers (the counters of batch normalisation, which tell the
            number of steps and no more) neither count nor change.
        max_norm: largest L2 norm over all floating-point entries together.

    Returns:
        The update, of a norm of at most ``max_norm`` in exact arithmetic on its float values, and the norm it had.
        An update that is not finite is given back as it is, for the server to refuse.
    """
    floating = [value for value in update.values() if value.is_floating_point()]
    norm = math.sqrt(sum(float(value.double().square().sum()) for value in floating))
    if not math.isfinite(norm) or norm <= max_norm:
        return update, norm
    # Rounding to float32 could lengthen a scaled value by 2^-24 of itself: a factor below 1 by more than that.
    factor = max_norm / norm * (1 - 2**-23)
    return {
        name: (value.double() * factor).to(value.dtype) if value.is_floating_point() else value
        for name, value in update.items()
    }, norm
