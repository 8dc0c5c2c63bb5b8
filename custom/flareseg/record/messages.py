"""What a site says beside its weights, checked before the server believes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, computed_field, model_validator

from flareseg.config.task import LABEL_LENGTH, MOST_LABELS, Modality, Task
from flareseg.errors import ErrorCode

_LARGEST = 1e12

DiceValue = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Number = Annotated[float, Field(ge=-_LARGEST, le=_LARGEST, allow_inf_nan=False)]
FinitePositive = Annotated[float, Field(gt=0, le=_LARGEST, allow_inf_nan=False)]
Probability = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]
Seconds = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0, le=1_000_000)]
Name = Annotated[str, Field(min_length=1, max_length=LABEL_LENGTH)]

_OF_DIFFERENTIAL_PRIVACY = ("epsilon", "delta", "budget", "noise_multiplier", "sample_rate", "rounds_left")
_MOST_ITEMS = 100
_MOST_CHARACTERS = 1000
_MOST_DIGITS = 64


class _Message(BaseModel):
    """Strict: a number written as text is text, and true is no number."""

    model_config = ConfigDict(extra="forbid", strict=True)


class ScoreMessage(_Message):
    """Mean Dice over ``volumes`` volumes; None where there is nothing to score."""

    mean: DiceValue | None
    volumes: Count

    @model_validator(mode="after")
    def _mean_of_some(self) -> ScoreMessage:
        if (self.mean is None) != (self.volumes == 0):
            raise ValueError(f"a mean over {self.volumes} volumes should be {'a number' if self.volumes else 'null'}")
        return self


class ScoresMessage(_Message):
    """Scores of one site, see :class:`flareseg.learning.metrics.Scores`."""

    dice: Annotated[dict[Name, ScoreMessage], Field(max_length=MOST_LABELS)]
    small: ScoreMessage
    large: ScoreMessage
    loss: Number | None

    @model_validator(mode="before")
    @classmethod
    def _own_mean(cls, said: Any) -> Any:
        """Leave out the mean that a site states: it follows from the labels' values."""
        return {key: value for key, value in said.items() if key != "mean"} if isinstance(said, dict) else said

    @computed_field  # type: ignore[prop-decorator]
    @property
    def mean(self) -> float | None:
        """Mean Dice over the labels that could be scored, None where none could."""
        scored = [score.mean for score in self.dice.values() if score.mean is not None]
        return sum(scored) / len(scored) if scored else None

    def of(self, task: Task) -> ScoresMessage:
        """These scores, if they speak of the task's labels.

        Raises:
            ValueError: they speak of others, or of sizes where the task has no lesion.
        """
        if self.dice.keys() - set(task.labels):
            raise ValueError("scores of labels that the task does not have")
        if task.lesion is None and (self.small.volumes or self.large.volumes):
            raise ValueError("scores by size, though the task has no lesion")
        return self


class PrivacyMessage(_Message):
    """What the scope in force did in a round; ε is of all jobs at the site so far, at δ."""

    scope: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,40}$")]
    clipped: bool | None = None
    epsilon: FinitePositive | None = None
    delta: Probability | None = None
    budget: FinitePositive | None = None
    noise_multiplier: FinitePositive | None = None
    sample_rate: Probability | None = None
    rounds_left: Annotated[int, Field(ge=0, le=2**31)] | None = None

    @model_validator(mode="after")
    def _all_or_none(self) -> PrivacyMessage:
        said = {name: getattr(self, name) for name in _OF_DIFFERENTIAL_PRIVACY}
        if len({value is None for value in said.values()}) > 1:
            raise ValueError(f"give all of {', '.join(said)}, or none")
        return self


class RoundReport(_Message):
    """What a site says of a round beside its update.

    ``excluded`` and ``left_out`` are numbers of its cases that it does not use: by name, and for a fault of their own.
    """

    modality: Modality
    seconds: Seconds
    loss: Number | None = None
    mean_scale: Number | None = None
    training_seconds: Seconds | None = None
    scores: ScoresMessage | None = None
    privacy: PrivacyMessage | None = None
    excluded: Count = 0
    left_out: Count = 0


class SiteError(_Message):
    """What a site says of a failure."""

    code: Annotated[str, Field(pattern=r"^[A-Z_]{1,40}$")]
    case: Annotated[str, Field(pattern=r"^[0-9a-f]{10}$")] | None = None

    @classmethod
    def read(cls, said: Any, return_code: str) -> SiteError:
        """Check what a site says; where it says nothing its return code stands, where it makes no sense neither."""
        try:
            return cls.model_validate(said or {"code": return_code})
        except ValidationError:
            return cls(code="UNREADABLE_ERROR")

    def __str__(self) -> str:
        known = self.code in ErrorCode.__members__
        where = f" (case {self.case})" if self.case else ""
        return f"{self.code}{where}; the site's own log names {'file and remedy' if known else 'the cause'}"


def check_meta(meta: Mapping[str, Any]) -> None:
    """Let what stands beside an update pass: a few plain values, and mappings of them.

    Raises:
        ValueError: it is too much, or something else.
    """
    items = dict(meta)
    for key, value in meta.items():
        if isinstance(value, Mapping):
            del items[key]
            items |= {f"{key}.{name}": item for name, item in list(value.items())[: _MOST_ITEMS + 1]}
    if len(items) > _MOST_ITEMS:
        raise ValueError(f"expected at most {_MOST_ITEMS} values beside the update")
    for key, value in items.items():
        if not isinstance(key, str) or len(key) > _MOST_CHARACTERS:
            raise ValueError("expected short names beside the update")
        fits = value is None or isinstance(value, bool | float)
        fits = fits or (isinstance(value, str) and len(value) <= _MOST_CHARACTERS)
        fits = fits or (isinstance(value, int) and value.bit_length() <= _MOST_DIGITS)
        if not fits:
            raise ValueError(f"expected plain values beside the update, found {type(value).__name__} as {key}")
