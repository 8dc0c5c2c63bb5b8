"""The server's arithmetic: exact sums of what sites send, applied to the global model.

Imports nothing of the package: FedAvg and FedGS use it alike.
"""

from flareseg.aggregation.aggregate import ServerMomentum, aggregate, mean_scale
from flareseg.aggregation.exact_sum import ExactSum

__all__ = ["ExactSum", "ServerMomentum", "aggregate", "mean_scale"]
