"""FedGS, federated gradient scaling: the scale factor of a batch and the cumulative update of a site.

Imports nothing of the package: the paper and nothing else.
"""

from flareseg.fedgs.cumulative import CumulativeUpdate
from flareseg.fedgs.scale import combine, scale_factor, size_deltas

__all__ = ["CumulativeUpdate", "combine", "scale_factor", "size_deltas"]
