"""Augmentation: GIN as a function, an array transform and a dictionary transform.

Imports settings only.
"""

from flareseg.transforms.gin import gin
from flareseg.transforms.rand_gin import RandGIN, RandGINd

__all__ = ["RandGIN", "RandGINd", "gin"]
