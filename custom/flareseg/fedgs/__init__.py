"""FedGS, federated gradient scaling: scale factor, cumulative update, and exact step-weighted aggregation."""

from flareseg.fedgs.aggregate import ServerMomentum, aggregate, mean_scale
from flareseg.fedgs.cumulative import CumulativeUpdate
from flareseg.fedgs.exact import ExactSum
from flareseg.fedgs.scale import combine, scale_factor, size_deltas

__all__ = [
    "CumulativeUpdate",
    "ExactSum",
    "ServerMomentum",
    "aggregate",
    "combine",
    "mean_scale",
    "scale_factor",
    "size_deltas",
]
