"""Seeds for each site, round and purpose: independent streams that a rerun finds again."""

from __future__ import annotations

import hashlib

import numpy as np


def generator(seed: int, site: str, round_number: int, purpose: str) -> np.random.Generator:
    """Give the random stream of one purpose.

    Args:
        seed: the task's seed.
        site: name of the site.
        round_number: round, from 0.
        purpose: what the numbers are for, such as ``"sampling"``; each purpose has a stream of its own.
    """
    digest = hashlib.sha256(f"{seed}/{site}/{round_number}/{purpose}".encode()).digest()
    return np.random.default_rng(np.random.SeedSequence(list(np.frombuffer(digest, dtype=np.uint32).tolist())))
