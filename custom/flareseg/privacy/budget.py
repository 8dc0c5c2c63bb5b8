"""The privacy budget of a site: what all its jobs have spent, in a file outside their run folders."""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field

from flareseg.config.settings import Settings
from flareseg.config.task import Positive
from flareseg.errors import DataError, ErrorCode, FlaresegError
from flareseg.privacy.chain import Chain, Link
from flareseg.privacy.ledger import LEDGER_FILE, Digest, append, last_of_kind
from flareseg.privacy.opacus import opacus
from flareseg.privacy.scopes import DifferentialPrivacy

BUDGET_FILE = Path("privacy/budget.jsonl")
BUDGET_KIND = "budget"
"""Kind of the ledger's entries that state the end of the budget: the SHA-256 of its last line."""
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


class BudgetLine(Link):
    """A line of the budget."""

    spending: Spending


@lru_cache(maxsize=64)
def _step_rdp(noise_multiplier: float, sample_rate: float) -> np.ndarray:
    analysis = opacus("accountants.analysis.rdp")
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
        warnings.simplefilter("ignore")  # the best order may be at an end of the list: the bound still holds
        return float(
            opacus("accountants.analysis.rdp").get_privacy_spent(orders=list(_ORDERS), rdp=rdp, delta=delta)[0]
        )


class Budget:
    """What a site has spent of its budget.

    There is one for each site, whatever the job and whichever cases it trained on: a patient may have been in all of
    them. Steps are written down, and are on the disk, before they are taken: after a crash they count as spent.

    The file is a chain, and its end is recorded in the site's ledger: a changed line, or lines that were cut off, are
    noticed before anything more is spent.

    Args:
        path: the file; made when missing.
        scope: the site's budget.
        ledger: the site's ledger; None if there is nothing to compare with, as when a budget is planned.
    """

    def __init__(self, path: Path, scope: DifferentialPrivacy, ledger: Path | None = None) -> None:
        self.path = path
        self.scope = scope
        self.ledger = ledger
        self._chain = Chain(
            path,
            BudgetLine,
            "budget",
            ErrorCode.BUDGET,
            "Restore it from a backup: without it nobody knows what was spent, and nothing may be spent on trust.",
        )

    @classmethod
    def of_site(cls, root: Path, scope: DifferentialPrivacy) -> Budget:
        """Give the budget of a site: in its kit, unless the scope names another place."""
        return cls(root / (scope.budget_file or BUDGET_FILE), scope, root / LEDGER_FILE)

    def spendings(self) -> list[Spending]:
        """Everything spent so far.

        Raises:
            DataError: the file was damaged, changed or cut.
        """
        try:
            entries = list(self._chain.read())
            stated = last_of_kind(self.ledger, BUDGET_KIND) if self.ledger else None
            if stated and stated.sha256 not in {Digest(line).sha256 for line in self._chain.lines()}:
                raise DataError(
                    f"{self.path}: lines are missing: the ledger's line {stated.number} states another end.",
                    self._chain.remedy,
                    code=ErrorCode.BUDGET,
                )
        except OSError as error:
            raise self._out_of_reach(error) from None
        return [entry.spending for entry in entries]

    def epsilon(self) -> float:
        """ε spent so far at the scope's δ."""
        return spent_epsilon(self.spendings(), self.scope.delta)

    def spend(self, job: str, sample_rate: float, steps: int) -> float:
        """Write steps down before they are taken.

        Returns:
            ε with them.

        Raises:
            FlaresegError: with code BUDGET: they do not fit in the budget, or it was changed; nothing is written. With
                code NO_LEDGER: they cannot be written down.
        """
        try:
            with self._chain.appending() as writer:  # two jobs of this site may train at once
                known = self.spendings()
                item = self._item(job, sample_rate, steps)
                epsilon = spent_epsilon([*known, item], self.scope.delta)
                if epsilon > self.scope.epsilon:
                    raise self._spent(steps, epsilon, known)
                _, line = writer.write(spending=item)
                if self.ledger:
                    append(
                        self.ledger, job=job, task="", round_number=None, kind=BUDGET_KIND, recipient="", content=line
                    )
                return epsilon
        except OSError as error:
            raise self._out_of_reach(error) from None

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

    def _spent(self, steps: int, epsilon: float, known: Sequence[Spending]) -> FlaresegError:
        return FlaresegError(
            f"The privacy budget is spent: {steps} more steps would bring ε to {epsilon:.3f} at δ = "
            f"{self.scope.delta:g}, above the {self.scope.epsilon:g} of this site; so far it is "
            f"{spent_epsilon(known, self.scope.delta):.3f}.",
            f"{self.path} tells which jobs spent it. More privacy cannot be bought: only the site may decide to give "
            "its patients less, by a larger epsilon in local/privacy.json.",
            code=ErrorCode.BUDGET,
        )

    def _out_of_reach(self, error: OSError) -> FlaresegError:
        return FlaresegError(
            f"{error.filename or self.path}: cannot be used ({error.strerror}).",
            "Free space, mend the permissions, then resume: nothing is spent that is not written down.",
            code=ErrorCode.NO_LEDGER,
        )
