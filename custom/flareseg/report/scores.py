"""Means of test scores: by label over the volumes of a modality, then over the organs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median_low

from pydantic import BaseModel

from flareseg.config.task import Task
from flareseg.record.messages import ScoreMessage, ScoresMessage

_MOST_TIMES = 10


class Mean(BaseModel):
    """A mean Dice with the number of volumes behind it; None where nothing was scored."""

    dice: float | None = None
    volumes: int = 0


class ScoreRow(BaseModel):
    """Test scores of a modality or of one site.

    Attributes:
        name: the modality or the site.
        modality: of the row.
        labels: for each label of the task the mean over volumes.
        organs: unweighted mean over the organs, None where none was scored.
        lesion: the lesion label, empty where the task has none.
        small: small components of the lesion label, over volumes that hold any.
        large: the same for the large components.
        volumes: test volumes, as many as the label scored most often has.
    """

    name: str
    modality: str
    labels: dict[str, Mean]
    organs: float | None
    lesion: Mean
    small: Mean
    large: Mean
    volumes: int


def volume_mean(scores: Iterable[ScoreMessage | None]) -> Mean:
    """Join the means of several sites, each weighted by its number of volumes.

    How many volumes a site has is its own word: it counts for at most ten times the sites' lower median.
    """
    known = [item for item in scores if item is not None and item.mean is not None and item.volumes > 0]
    if not known:
        return Mean()
    most = _MOST_TIMES * median_low(item.volumes for item in known)
    weights = [min(item.volumes, most) for item in known]
    dice = sum((item.mean or 0.0) * weight for item, weight in zip(known, weights, strict=True)) / sum(weights)
    return Mean(dice=dice, volumes=sum(weights))


def score_row(name: str, modality: str, scores: Sequence[ScoresMessage], task: Task) -> ScoreRow:
    """Join the test scores of the sites that make up one row.

    Args:
        name: of the row.
        modality: of the row.
        scores: what each site reported; one entry for a site's own row.
        task: gives labels, organs and the lesion label.
    """
    labels = {label: volume_mean(item.dice.get(label) for item in scores) for label in task.labels}
    organs = [mean for label in task.organs if (mean := labels[label].dice) is not None]
    return ScoreRow(
        name=name,
        modality=modality,
        labels=labels,
        organs=sum(organs) / len(organs) if organs else None,
        lesion=labels[task.lesion.label] if task.lesion else Mean(),
        small=volume_mean(item.small for item in scores),
        large=volume_mean(item.large for item in scores),
        volumes=max((mean.volumes for mean in labels.values()), default=0),
    )
