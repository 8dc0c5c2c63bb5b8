"""How the step size falls over the rounds."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import Field

from flareseg.config.choices import Schedule
from flareseg.config.settings import NonNegative


class Constant(Schedule):
    """The same in every round."""

    name: Literal["constant"] = "constant"

    def factor(self, round_number: int, rounds: int) -> float:
        """Give 1."""
        return 1.0


class Cosine(Schedule):
    """Half a cosine, from 1 to almost 0."""

    name: Literal["cosine"] = "cosine"

    def factor(self, round_number: int, rounds: int) -> float:
        """Give 0.5 (1 + cos(π r / R))."""
        return 0.5 * (1 + math.cos(math.pi * round_number / rounds))


class Polynomial(Schedule):
    """A power of the share of the rounds that is left, as in nnU-Net."""

    name: Literal["polynomial"] = "polynomial"
    power: Annotated[float, Field(gt=0)] = 0.9
    """The power."""

    def factor(self, round_number: int, rounds: int) -> float:
        """Give (1 - r / R)^power."""
        return float((1 - round_number / rounds) ** self.power)


class Plateau(Schedule):
    """Reduced where the site's own validation loss has not improved for some rounds (FedGIN)."""

    name: Literal["plateau"] = "plateau"
    patience: Annotated[int, Field(ge=0)] = 3
    """Rounds without improvement, by a ten-thousandth at least, before a reduction."""
    reduction: Annotated[float, Field(gt=0, lt=1)] = 0.5
    """Factor of a reduction."""
    least: NonNegative = 1e-5
    """Step size below which nothing is reduced."""

    @property
    def follows_validation(self) -> bool:
        """Each site by its own cases."""
        return True

    def factor(self, round_number: int, rounds: int) -> float:
        """Give 1: what was reduced is remembered by the site."""
        return 1.0

    def reduced(self, memory: tuple[float, float, float], lr: float, loss: float | None) -> tuple[float, float, float]:
        """Go on by one round, as PyTorch's ReduceLROnPlateau does.

        Args:
            memory: the best loss so far, the rounds since, and the step size's factor; at the start (∞, 0, 1).
            lr: the step size of the first round.
            loss: the site's validation loss, None where it was not scored in this round.

        Returns:
            The memory after the round.
        """
        best, waited, factor = memory
        if loss is None or not math.isfinite(loss):
            return memory
        if loss < best * (1 - 1e-4):
            return loss, 0.0, factor
        if waited + 1 > self.patience:
            return best, 0.0, min(factor, max(factor * self.reduction, self.least / lr))
        return best, waited + 1, factor
