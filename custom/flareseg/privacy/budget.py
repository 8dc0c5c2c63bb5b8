"""The privacy budget of a site: what all its jobs have spent, in a file outside their run folders."""

from __future__ import annotations

import fcntl
import json
import os
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field, ValidationError

from flareseg.config.settings import Settings
from flareseg.config.task import Positive
from flareseg.errors import ErrorCode, FlaresegError, SettingsError
from flareseg.privacy.scopes import DifferentialPrivacy

BUDGET_FILE = Path("privacy/budget.jsonl")
_ORDERS = tuple([1 + x / 10 for x in range(1, 100)] + list(range(12, 64)) + [80, 128, 256, 512])
_MOST_STEPS = 10_000_000


class Spending(Settings):
    """Steps of the Poisson-subsampled Gaussian mechanism with one setting, taken by one job."""

    job: str
    """The job's id."""
    noise_multiplier: Positive
    """σ."""
    sample_rate: Annotated[float, Field(gt=0, le=1)]
    """q."""
    steps: Annotated[int, Field(ge=1)]
    """How many."""
    time: float
    """When they were written down, in seconds since the epoch."""


@lru_cache(maxsize=64)
def _step_rdp(noise_multiplier: float, sample_rate: float) -> np.ndarray:
    analysis = _opacus()
    return np.asarray(
        analysis.compute_rdp(q=sample_rate, noise_multiplier=noise_multiplier, steps=1, orders=list(_ORDERS))
    )


def spent_epsilon(spendings: Sequence[Spending], delta: float) -> float:
    """ε of several spendings together, by Rényi composition (opacus' accountant).

    Mironov, Talwar, Zhang, "Rényi Differential Privacy of the Sampled Gaussian Mechanism", 2019: adjacent data sets
    differ by one patient more or less.
    """
    if not spendings:
        return 0.0
    rdp = sum(_step_rdp(item.noise_multiplier, item.sample_rate) * item.steps for item in spendings)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the best order may be the first or last of ours: the bound holds all the same
        return float(_opacus().get_privacy_spent(orders=list(_ORDERS), rdp=rdp, delta=delta)[0])


class Budget:
    """What a site has spent of its budget.

    There is one for each site, whatever the job and whichever cases it trained on: a patient may have been in all of
    them. Steps are written down, and are on the disk, before they are taken: after a crash they count as spent.

    Args:
        path: the file, JSON lines; made when missing.
        scope: the site's budget.
    """

    def __init__(self, path: Path, scope: DifferentialPrivacy) -> None:
        self.path = path
        self.scope = scope

    @classmethod
    def of_site(cls, root: Path, scope: DifferentialPrivacy) -> Budget:
        """Give the budget of a site: in its kit, unless the scope names another place."""
        return cls(root / (scope.budget_file or BUDGET_FILE), scope)

    def spendings(self) -> list[Spending]:
        """Everything spent so far.

        Raises:
            SettingsError: the file is damaged: nothing may be spent on trust.
        """
        try:
            lines = self.path.read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return []
        try:
            return [Spending.model_validate(json.loads(line)) for line in lines]
        except (ValueError, ValidationError) as error:
            raise SettingsError(
                f"{self.path}: is damaged ({type(error).__name__}).",
                "Restore it from a backup: without it nobody knows what was spent.",
            ) from None

    def epsilon(self) -> float:
        """ε spent so far at the scope's δ."""
        return spent_epsilon(self.spendings(), self.scope.delta)

    def spend(self, job: str, sample_rate: float, steps: int) -> float:
        """Write steps down before they are taken.

        Returns:
            ε with them.

        Raises:
            FlaresegError: with code BUDGET: they do not fit in the budget, and nothing is written.
        """
        with self._locked():
            known = self.spendings()
            item = self._item(job, sample_rate, steps)
            epsilon = spent_epsilon([*known, item], self.scope.delta)
            if epsilon > self.scope.epsilon:
                raise FlaresegError(
                    f"The privacy budget is spent: {steps} more steps would bring ε to {epsilon:.3f} at δ = "
                    f"{self.scope.delta:g}, above the {self.scope.epsilon:g} of this site; so far it is "
                    f"{spent_epsilon(known, self.scope.delta):.3f}.",
                    f"{self.path} tells which jobs spent it. More privacy cannot be bought: only the site may decide "
                    "to give its patients less, by a larger epsilon in local/privacy.json.",
                    code=ErrorCode.BUDGET,
                )
            with self.path.open("a", encoding="utf-8") as stream:
                stream.write(item.model_dump_json() + "\n")
                stream.flush()
                os.fsync(stream.fileno())
            return epsilon

    def steps_left(self, sample_rate: float) -> int:
        """How many steps still fit in the budget."""
        known = self.spendings()

        def fits(steps: int) -> bool:
            more = [self._item("", sample_rate, steps)] if steps else []
            return spent_epsilon([*known, *more], self.scope.delta) <= self.scope.epsilon

        low, high = 0, 1
        while fits(high) and high < _MOST_STEPS:
            low, high = high, 2 * high
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if fits(middle) else (low, middle)
        return low

    def _item(self, job: str, sample_rate: float, steps: int) -> Spending:
        return Spending(
            job=job,
            noise_multiplier=self.scope.noise_multiplier,
            sample_rate=sample_rate,
            steps=steps,
            time=time.time(),
        )

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold off other jobs of this site: two may train at once."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.with_suffix(".lock").open("w") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            yield


def _opacus():  # type: ignore[no-untyped-def]
    try:
        from opacus.accountants.analysis import rdp
    except ImportError:
        raise SettingsError(
            "The privacy scope dp needs opacus, which is not installed at this site.",
            "Install it: pip install 'flareseg[dp]'.",
        ) from None
    return rdp
