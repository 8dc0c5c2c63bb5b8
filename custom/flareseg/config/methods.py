"""Settings of FedGS in ``task.yaml``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from flareseg.config.settings import Positive, Settings


class SmallTarget(Settings):
    """When an image counts as holding a small target of one label (FedGS, arXiv 2408.11701)."""

    log_base: Annotated[float, Field(gt=1)] = 100.0
    """Base l of the logarithm of the inverse area."""
    threshold: Annotated[float, Field(gt=1)] | None = None
    """Inverse area τ (voxels of the image by voxels of the target) from which a target is small; published."""
    largest_mm2: Positive | None = None
    """In place of threshold, for images of different spacing: area (mm²) up to which a target of a slice is small."""
    largest_mm3: Positive | None = None
    """The same for volumes: mm³."""
    target_size: Literal["mask", "smallest_component"] = "mask"
    """What is measured: all of the label in the image (published), or its smallest connected part."""

    @model_validator(mode="after")
    def _one_bound(self) -> SmallTarget:
        if sum(bound is not None for bound in (self.threshold, self.largest_mm2, self.largest_mm3)) != 1:
            raise ValueError("give one of threshold, largest_mm2 and largest_mm3")
        return self


class FedGS(Settings):
    """Federated gradient scaling (arXiv 2408.11701); null for none: either targets or constant."""

    targets: dict[str, SmallTarget] = Field(default_factory=dict)
    """Small-target labels of the task; of an image with several the largest scale counts."""
    constant: Positive | None = None
    """Scale every step by this: the control for the larger step that FedGS makes."""
    normalize: Literal["none", "mean"] = "none"
    """mean divides the mean update by the step-weighted mean scale: its direction without the larger step."""

    @model_validator(mode="after")
    def _one_way(self) -> FedGS:
        if bool(self.targets) == (self.constant is not None):
            raise ValueError("give either targets or constant")
        if self.constant is not None and self.normalize == "mean":
            raise ValueError("normalize: mean would undo a constant; for FedAvg set fedgs to null")
        return self

    @property
    def scale_range(self) -> tuple[float, float]:
        """Between what the mean scale of a site's steps can lie."""
        return (1.0, 3.0) if self.constant is None else (self.constant, self.constant)
