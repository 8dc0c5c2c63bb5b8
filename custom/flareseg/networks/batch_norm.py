"""Base of the published networks with batch normalisation."""

from __future__ import annotations

from typing import Literal

from flareseg.config.choices import Network


class BatchNormNetwork(Network):
    """A network with batch normalisation, for slices."""

    spatial_dims = (2,)

    norm: Literal["batch", "local_batch"] = "batch"
    """Batch normalisation; with local_batch its statistics and affine parameters stay at each site (FedBN)."""

    @property
    def mixes_samples(self) -> bool:
        """Batch normalisation does."""
        return True

    @property
    def keeps_batch_norm(self) -> bool:
        """Local batch normalisation stays."""
        return self.norm == "local_batch"
