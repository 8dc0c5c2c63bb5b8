"""Federated CT and MR segmentation on NVIDIA FLARE: FedGIN with FedGS.

The names below are the Python interface. Each is imported when it is first used, so that ``import flareseg`` itself
takes milliseconds and loads neither PyTorch nor NVFlare.

>>> import torch
>>> import flareseg
>>> batch = torch.rand(2, 1, 16, 16)
>>> flareseg.RandGIN().set_random_state(0).apply_batch(batch).shape
torch.Size([2, 1, 16, 16])
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from flareseg.version import __version__

if TYPE_CHECKING:
    from flareseg.aggregation.aggregate import ServerMomentum, aggregate
    from flareseg.aggregation.exact_sum import ExactSum
    from flareseg.config.seams import allow_extensions
    from flareseg.config.site import Site, load_site
    from flareseg.config.task import Task, load_task
    from flareseg.data.site_data import SiteData
    from flareseg.fedgs.cumulative import CumulativeUpdate
    from flareseg.fedgs.scale import scale_factor
    from flareseg.learning.learner import Learner
    from flareseg.transforms.gin import gin
    from flareseg.transforms.rand_gin import RandGIN, RandGINd

__all__ = [
    "CumulativeUpdate",
    "ExactSum",
    "Learner",
    "RandGIN",
    "RandGINd",
    "ServerMomentum",
    "Site",
    "SiteData",
    "Task",
    "__version__",
    "aggregate",
    "allow_extensions",
    "gin",
    "load_site",
    "load_task",
    "scale_factor",
]

_HOMES = {
    "CumulativeUpdate": "flareseg.fedgs.cumulative",
    "ExactSum": "flareseg.aggregation.exact_sum",
    "Learner": "flareseg.learning.learner",
    "RandGIN": "flareseg.transforms.rand_gin",
    "RandGINd": "flareseg.transforms.rand_gin",
    "ServerMomentum": "flareseg.aggregation.aggregate",
    "Site": "flareseg.config.site",
    "SiteData": "flareseg.data.site_data",
    "Task": "flareseg.config.task",
    "aggregate": "flareseg.aggregation.aggregate",
    "allow_extensions": "flareseg.config.seams",
    "gin": "flareseg.transforms.gin",
    "load_site": "flareseg.config.site",
    "load_task": "flareseg.config.task",
    "scale_factor": "flareseg.fedgs.scale",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_HOMES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
