"""What a site says beside its weights, checked before the server believes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from flareseg.config.task import Modality
from flareseg.errors import ErrorCode

DiceValue = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Number = Annotated[float, Field(allow_inf_nan=False)]
FinitePositive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Name = Annotated[str, Field(min_length=1, max_length=100)]

_MOST_ITEMS = 100
_MOST_CHARACTERS = 1000
_MOST_DIGITS = 64


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ScoreMessage(_Message):
    """Mean Dice over ``volumes`` volumes; None where there is none to score."""

    mean: DiceValue | None
    volumes: Annotated[int, Field(ge=0)]


class ScoresMessage(_Message):
    """Scores of one site, see :class:`flareseg.learning.metrics.Scores`."""

    dice: Annotated[dict[Name, ScoreMessage], Field(max_length=_MOST_ITEMS)]
    small: ScoreMessage
    large: ScoreMessage
    loss: Number | None
    mean: DiceValue | None


class PrivacyMessage(_Message):
    """What the scope in force did in a round; ε is of all jobs at the site so far, at δ."""

    scope: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,40}$")]
    clipped: bool | None = None
    epsilon: FinitePositive | None = None
    delta: FinitePositive | None = None
    budget: FinitePositive | None = None
    noise_multiplier: FinitePositive | None = None
    sample_rate: FinitePositive | None = None
    rounds_left: Annotated[int, Field(ge=0)] | None = None


class RoundReport(_Message):
    """What a site says of a round beside its update."""

    modality: Modality
    seconds: Seconds
    loss: Number | None = None
    mean_scale: Number | None = None
    training_seconds: Seconds | None = None
    scores: ScoresMessage | None = None
    privacy: PrivacyMessage | None = None


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
