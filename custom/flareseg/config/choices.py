"""What each part that a task chooses by name has to say of itself, and the parts that come with this package.

Nothing here imports PyTorch: a task is read in milliseconds, its parts are built when they are needed.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Protocol

import numpy as np
from pydantic import BeforeValidator, Field, SerializeAsAny

from flareseg.config.seams import Choice, Seam
from flareseg.config.settings import NonNegative, Positive, Settings

if TYPE_CHECKING:
    import torch
    from torch import Tensor


class Network(Choice, ABC):
    """A network, from images to one channel of logits for each label."""

    spatial_dims: ClassVar[tuple[int, ...]] = (2, 3)
    """Dimensions it can be built for: 2 for slices, 3 for volumes."""
    outputs: ClassVar[frozenset[str]] = frozenset()
    """What it gives in training beside its logits, see :class:`flareseg.networks.nets.outputs.Outputs`."""

    @property
    @abstractmethod
    def divisor(self) -> int:
        """Sides of an image should be multiples of this many voxels."""

    @property
    @abstractmethod
    def mixes_samples(self) -> bool:
        """Whether a sample's result depends on the others of its batch, as with batch statistics."""

    @property
    def stochastic(self) -> bool:
        """Whether training draws random numbers inside the network, as dropout does."""
        return False

    @property
    def keeps_batch_norm(self) -> bool:
        """Whether everything of the batch normalisation stays at each site (FedBN)."""
        return False

    def check_patch(self, patch: Sequence[int]) -> None:
        """Check that the network can be trained on patches of this size.

        Raises:
            ValueError: it cannot.
        """
        if len(patch) not in self.spatial_dims:
            numbers = {2: "two numbers (slices)", 3: "three numbers (volumes)"}[self.spatial_dims[0]]
            raise ValueError(f"patch should be {numbers} for the network {self.name}")
        if any(size % self.divisor for size in patch):
            raise ValueError(f"patch should be a multiple of {self.divisor} for this network")
        if all(size == self.divisor for size in patch):
            raise ValueError(f"patch should be above {self.divisor}: the network's lowest level would be one voxel")

    @abstractmethod
    def build(self, spatial_dims: int, in_channels: int, out_channels: int) -> torch.nn.Module:
        """Build it, with weights from PyTorch's generator; in evaluation mode it gives logits (B, L, *spatial)."""


class VolumeLoss(Protocol):
    """The loss of a volume whose logits come in parts."""

    def add(self, logits: Tensor, target: Tensor) -> None:
        """Add a part, float32 (L, X, Y, z) each, of the annotated labels."""

    def value(self) -> float:
        """The loss of the parts so far."""


class Loss(Choice, ABC):
    """A training loss on logits; labels that the site has not annotated are left out before it is asked."""

    needs: ClassVar[frozenset[str]] = frozenset()
    """What it takes of a network's outputs beside the logits."""

    @property
    def per_sample(self) -> bool:
        """Whether the gradient of each sample can be taken by itself (``torch.func.vmap``), as DP-SGD does."""
        return True

    @abstractmethod
    def build(self) -> Callable[..., Tensor]:
        """Give the function from logits and targets, float32 (B, L, *spatial) each, to a scalar.

        A loss that has ``needs`` also takes ``more``: the other outputs of the network, by name.
        """

    def of_volume(self) -> VolumeLoss | None:
        """Collect the loss of a volume exactly; None takes the mean over its parts, weighted by their voxels."""
        return None


class Schedule(Choice, ABC):
    """How the step size falls over the rounds."""

    @property
    def follows_validation(self) -> bool:
        """Whether it depends on the site's validation cases."""
        return False

    @abstractmethod
    def factor(self, round_number: int, rounds: int) -> float:
        """Give the factor of the step size in a round, from 0, of so many."""


SCHEDULES = Seam(
    "schedule",
    {
        "constant": "flareseg.learning.schedules:Constant",
        "cosine": "flareseg.learning.schedules:Cosine",
        "polynomial": "flareseg.learning.schedules:Polynomial",
        "plateau": "flareseg.learning.schedules:Plateau",
    },
    default="cosine",
)
ScheduleChoice = Annotated[SerializeAsAny[Schedule], BeforeValidator(SCHEDULES.read)]


class Optimizer(Choice, ABC):
    """The local optimiser."""

    lr: Positive = 1e-3
    """Step size of the first round."""
    weight_decay: NonNegative = 1e-5
    """Decoupled for adamw, else part of the gradient."""
    schedule: ScheduleChoice = Field(default_factory=lambda: default(SCHEDULES)())
    """How the step size falls over the rounds."""
    warmup_rounds: Annotated[int, Field(ge=0)] = 0
    """Rounds in which the step size rises to its height, linearly."""
    state: Literal["fresh", "kept"] = "fresh"
    """Moments anew in each round (FedGS), or kept at the site from round to round (FedGIN)."""

    @abstractmethod
    def build(self, parameters: Iterable[torch.nn.Parameter], lr: float) -> torch.optim.Optimizer:
        """Build it for the parameters, with the step size of the round."""


Augment = Callable[["Tensor", "Tensor", np.ndarray], "tuple[Tensor, Tensor]"]
"""Images (B, C, *spatial), labels (B, L, *spatial) and the volume of each sample (B,) to changed images and labels."""


class Augmentation(Choice, ABC):
    """A random change of training batches."""

    channels: ClassVar[int | None] = None
    """Channels that images should have; None for any number."""

    @property
    def mixes_samples(self) -> bool:
        """Whether what happens to a sample depends on the others of its batch."""
        return False

    @abstractmethod
    def build(self, state: np.random.RandomState) -> Augment:
        """Build it; all of its draws come from ``state``."""


NETWORKS = Seam(
    "network",
    {
        "unet": "flareseg.networks.unet:UNet",
        "segresnet": "flareseg.networks.segresnet:SegResNet",
        "dynunet": "flareseg.networks.dynunet:DynUNet",
        "swin_unetr": "flareseg.networks.swin_unetr:SwinUNETR",
        "fedgin_unet": "flareseg.networks.fedgin_unet:FedGINUNet",
        "utnet": "flareseg.networks.utnet:UTNet",
        "sd_utnet": "flareseg.networks.sd_utnet:SDUTNet",
    },
    group="flareseg.networks",
    default="unet",
)
LOSSES = Seam(
    "loss",
    {
        "dice": "flareseg.learning.losses.dice:Dice",
        "dice_ce": "flareseg.learning.losses.dice:DiceCE",
        "focal_dice": "flareseg.learning.losses.focal_dice:FocalDice",
        "tversky": "flareseg.learning.losses.tversky:Tversky",
        "cc_dice_ce": "flareseg.learning.losses.instances:CCDiceCE",
        "blob": "flareseg.learning.losses.instances:Blob",
        "sd_utnet": "flareseg.learning.losses.sd_utnet:SDUTNetLoss",
    },
    group="flareseg.losses",
    default="dice_ce",
)
OPTIMIZERS = Seam(
    "optimizer",
    {
        name: f"flareseg.learning.optimizers:{kind}"
        for name, kind in (("adamw", "AdamW"), ("adam", "Adam"), ("sgd", "SGD"))
    },
    default="adamw",
)
AUGMENTATIONS = Seam(
    "augmentation",
    {
        "gin": "flareseg.augmentations.gin:GIN",
        "src": "flareseg.augmentations.src:SRC",
        "frequency": "flareseg.augmentations.frequency:Frequency",
        "flip": "flareseg.augmentations.spatial:Flip",
        "rotation": "flareseg.augmentations.spatial:Rotation",
        "scaling": "flareseg.augmentations.spatial:Scaling",
        "elastic": "flareseg.augmentations.spatial:Elastic",
        "gamma": "flareseg.augmentations.intensity:Gamma",
        "contrast": "flareseg.augmentations.intensity:Contrast",
        "noise": "flareseg.augmentations.intensity:Noise",
        "blur": "flareseg.augmentations.intensity:Blur",
        "low_resolution": "flareseg.augmentations.intensity:LowResolution",
        "colour_jitter": "flareseg.augmentations.colour_jitter:ColourJitter",
    },
    group="flareseg.augmentations",
)

NetworkChoice = Annotated[SerializeAsAny[Network], BeforeValidator(NETWORKS.read)]
LossChoice = Annotated[SerializeAsAny[Loss], BeforeValidator(LOSSES.read)]
OptimizerChoice = Annotated[SerializeAsAny[Optimizer], BeforeValidator(OPTIMIZERS.read)]
AugmentationChoice = Annotated[SerializeAsAny[Augmentation], BeforeValidator(AUGMENTATIONS.read)]


SEAMS: dict[type[Settings], Seam] = {
    Network: NETWORKS,
    Loss: LOSSES,
    Optimizer: OPTIMIZERS,
    Schedule: SCHEDULES,
    Augmentation: AUGMENTATIONS,
}
"""The seam of each kind of part."""


def default(seam: Seam) -> Callable[[], Any]:
    """Give the part that a task gets which names none."""
    return lambda: seam.read({})
