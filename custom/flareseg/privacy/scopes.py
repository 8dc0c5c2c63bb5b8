"""Privacy scopes: their settings stand in a site's ``local/privacy.json``, a job asks for one by its name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, TypeVar

from pydantic import Field, ValidationError, field_validator

from flareseg.config.settings import Settings
from flareseg.config.task import Positive, Task
from flareseg.errors import ErrorCode, FlaresegError, SettingsError


class Scope(Settings):
    """What a site applies to what leaves it: settings are the properties of the scope of that name."""

    name: ClassVar[str]

    def refused_settings(self, task: Task) -> list[str]:
        """Settings of a task that this scope does not allow, each with the reason."""
        return []

    def check(self, task: Task) -> None:
        """Refuse a task that does not fit.

        Raises:
            FlaresegError: naming each setting and why.
        """
        refused = self.refused_settings(task)
        if refused:
            raise FlaresegError(
                f"task.yaml: under the privacy scope {self.name}: {'; '.join(refused)}.",
                "Change these settings, or ask for another scope in meta.json.",
                code=ErrorCode.SCOPE_MISMATCH,
            )


S = TypeVar("S", bound=Scope)


class Open(Scope):
    """Updates leave as they are."""

    name: ClassVar[str] = "open"


class Clipped(Scope):
    """A bound on the length of each update."""

    name: ClassVar[str] = "clipped"

    max_norm: Positive
    """L2 norm, over all parameters and buffers together, above which an update is scaled down to it."""


class DifferentialPrivacy(Scope):
    """Differential privacy of the training patients: DP-SGD, and a budget that all jobs at the site share."""

    name: ClassVar[str] = "dp"

    epsilon: Positive
    """Budget ε: what all jobs at the site may spend together."""
    delta: Annotated[float, Field(gt=0, lt=1)]
    """δ, well below one by the number of patients."""
    max_grad_norm: Positive
    """C: L2 norm to which the gradient of each patient is clipped."""
    noise_multiplier: Positive
    """σ: standard deviation of the noise on the sum of gradients, in units of C."""
    budget_file: Path | None = None
    """Where spent privacy is written down; null is privacy/budget.jsonl in the kit, which a new kit does not have."""

    def refused_settings(self, task: Task) -> list[str]:
        """What the proof in docs/privacy.md does not hold for."""
        refused = []
        if task.fedgs is not None and task.fedgs.targets:
            refused.append("fedgs.targets: η depends on the patients of the batch (null or constant)")
        if task.network.mixes_samples:
            refused.append(
                f"network: {task.network.describe()} mixes patients and sends their statistics (one without batch "
                "statistics, such as unet with norm: instance)"
            )
        if task.network.stochastic:
            refused.append(
                f"network: {task.network.describe()} draws in training from a seed of 32 bits (one without dropout)"
            )
        if task.training.epochs is not None:
            refused.append("training.epochs: the number of steps says how many patients there are (steps alone)")
        if task.optimizer.schedule.follows_validation:
            refused.append(
                f"optimizer.schedule: {task.optimizer.schedule.describe()} lets the loss of validation patients "
                "into what leaves, without noise (constant, cosine or polynomial)"
            )
        if not task.loss.per_sample:
            refused.append(f"loss: {task.loss.describe()} gives no gradient of each patient by itself (dice_ce)")
        refused += [
            f"augmentation: {item.describe()}: what happens to a patient depends on who else is in the batch"
            for item in task.augmentation
            if item.mixes_samples
        ]
        return refused


class Encrypted(Scope):
    """Updates leave encrypted: the site's own filters do it, see ``privacy.json``."""

    name: ClassVar[str] = "encrypted"

    def refused_settings(self, task: Task) -> list[str]:
        """What a server cannot do with ciphertexts."""
        refused = []
        if task.aggregation.server_momentum:
            refused.append("aggregation.server_momentum: the server holds no plain update (0)")
        if task.aggregation.rule != "mean":
            refused.append("aggregation.rule: the server holds no plain update (mean)")
        if task.aggregation.clip is not None:
            refused.append("aggregation.clip: the server holds no plain update (null)")
        if task.fedgs is not None and task.fedgs.normalize != "none":
            refused.append("fedgs.normalize: the server holds no plain update (none)")
        if task.network.mixes_samples:
            refused.append(
                f"network: {task.network.describe()} has counters of its batch statistics, which CKKS does not keep "
                "exact (one without batch statistics, such as unet with norm: instance)"
            )
        return refused


class FederatedStatistics(Scope):
    """Counts, sums and histograms over enough patients leave, nothing that is trained."""

    name: ClassVar[str] = "statistics"

    min_patients: Annotated[int, Field(ge=2)]
    """A number that rests on fewer patients does not leave, nor does their number."""
    max_bins_percent: Annotated[float, Field(gt=0, le=100)]
    """A histogram has fewer bins than this percentage of its patients, or it does not leave."""
    noise: tuple[Annotated[float, Field(gt=0, le=1)], Annotated[float, Field(gt=0, le=1)]]
    """Least and greatest share by which the ends of a range are moved outwards, drawn anew for each."""

    @field_validator("noise")
    @classmethod
    def _rising(cls, noise: tuple[float, float]) -> tuple[float, float]:
        if noise[0] > noise[1]:
            raise ValueError(f"should rise, got {noise[0]} and {noise[1]}")
        return noise

    def refused_settings(self, task: Task) -> list[str]:
        """A task is trained on; statistics never ask this."""
        return ["training: nothing that is trained leaves under it (open, clipped or dp)"]


SCOPES: dict[str, type[Scope]] = {
    scope.name: scope for scope in (Open, Clipped, DifferentialPrivacy, Encrypted, FederatedStatistics)
}


def load_scope(path: Path, kind: type[S]) -> S:
    """Read a scope from a site's ``privacy.json``.

    Raises:
        SettingsError: the file cannot be read, or has no such scope.
    """
    try:
        scopes = {item["name"]: item.get("properties", {}) for item in json.loads(path.read_text())["scopes"]}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise SettingsError(f"{path}: cannot be read ({type(error).__name__}).", "Give a site's kit.") from None
    if kind.name not in scopes:
        raise SettingsError(f"{path}: this site has no scope {kind.name}.", f"It has {', '.join(sorted(scopes))}.")
    return _validated(kind, scopes[kind.name])


def read_scope(name: str, properties: Mapping[str, Any]) -> Scope:
    """Give the scope of a name with a site's settings.

    A name that is not known here, and properties that are not exactly the scope's, are refused: a slip in
    ``privacy.json`` never means less privacy.

    Raises:
        SettingsError: naming the scope and the wrong property.
    """
    if name not in SCOPES:
        raise SettingsError(f"privacy.json: no scope {name!r} is known.", f"Known are {', '.join(SCOPES)}.")
    return _validated(SCOPES[name], properties)


def _validated(kind: type[S], properties: Mapping[str, Any]) -> S:
    try:
        return kind.model_validate(dict(properties))
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(map(str, item['loc'])) or 'properties'}: {item['msg']}" for item in error.errors()
        )
        raise SettingsError(
            f"privacy.json: properties of the scope {kind.name}: {wrong}.",
            f"The scope {kind.name} has the properties {', '.join(kind.model_fields) or '(none)'}.",
        ) from None
