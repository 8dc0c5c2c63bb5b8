"""The accountant's numbers, the budget, and that nothing spent is forgotten."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from opacus.accountants import PRVAccountant, RDPAccountant
from scipy.optimize import brentq
from scipy.stats import norm

from disk import small_files
from flareseg.errors import DataError, ErrorCode, FlaresegError
from flareseg.privacy.budget import Budget, Spending, spent_epsilon
from flareseg.privacy.dp_sgd import sample_rate
from flareseg.privacy.ledger import read_ledger
from flareseg.privacy.scopes import DifferentialPrivacy


def scope(**changes: float) -> DifferentialPrivacy:
    content = {"epsilon": 3.0, "delta": 1e-5, "max_grad_norm": 1.0, "noise_multiplier": 1.1}
    return DifferentialPrivacy.model_validate(content | changes)


def spending(rate: float, sigma: float, steps: int) -> Spending:
    return Spending(job="job", noise_multiplier=sigma, sample_rate=rate, steps=steps, time=0.0)


@pytest.mark.parametrize(
    "runs",
    [
        [(0.01, 1.1, 1000)],
        [(0.04, 1.0, 500)],
        [(1.0, 14.0, 500)],
        [(0.01, 1.0, 300), (0.2, 4.0, 40), (1.0, 20.0, 5)],
    ],
)
def test_epsilon_is_that_of_opacus_accountant(runs: Sequence[tuple[float, float, int]]) -> None:
    accountant = RDPAccountant()
    accountant.history = [(sigma, rate, steps) for rate, sigma, steps in runs]
    ours = spent_epsilon([spending(*run) for run in runs], 1e-5)
    assert ours == pytest.approx(accountant.get_epsilon(delta=1e-5), rel=1e-9)


def test_the_table_for_choosing_sigma_is_right(tmp_path: Path) -> None:
    text = (Path(__file__).parents[3] / "docs" / "privacy.md").read_text()
    lines = text[text.index("| Training patients |") :].splitlines()
    patients, sigmas, fitting = ([cell.strip() for cell in lines[number].split("|")[2:-1]] for number in (0, 2, 3))
    for count, sigma, steps in zip(patients, sigmas, fitting, strict=True):
        rate = sample_rate(8, int(count))
        assert spent_epsilon([spending(rate, float(sigma), 500)], 1e-5) <= 8, count
        less = float(sigma) - 10 ** -len(sigma.partition(".")[2])
        assert spent_epsilon([spending(rate, less, 500)], 1e-5) > 8, f"{count}: a smaller σ would do"
        assert Budget(tmp_path / count, scope(epsilon=8.0, noise_multiplier=1.0)).steps_left(rate) == int(steps)


def test_the_example_of_abadi_and_others() -> None:
    """Deep Learning with Differential Privacy, section 5: q = 0.01, σ = 4, 10000 steps, δ = 1e-5 give ε of 1.26.

    Their way from moments to ε was looser; numerical composition gives the value that no bound may be below.
    """
    exact = PRVAccountant()
    exact.history = [(4.0, 0.01, 10_000)]
    assert exact.get_epsilon(delta=1e-5) - 0.02 <= spent_epsilon([spending(0.01, 4.0, 10_000)], 1e-5) <= 1.26


@pytest.mark.parametrize(("sigma", "steps"), [(14.0, 500), (3.0, 4), (50.0, 100)])
def test_it_bounds_the_exact_gaussian_mechanism_and_is_near(sigma: float, steps: int) -> None:
    """All patients in every step is the Gaussian mechanism, whose ε is known (Balle and Wang 2018)."""
    mu = math.sqrt(steps) / sigma

    def delta(epsilon: float) -> float:
        return float(norm.cdf(mu / 2 - epsilon / mu) - math.exp(epsilon) * norm.cdf(-mu / 2 - epsilon / mu))

    exact = brentq(lambda epsilon: delta(epsilon) - 1e-5, 1e-6, 100)
    assert exact <= spent_epsilon([spending(1.0, sigma, steps)], 1e-5) <= 1.2 * exact


def test_the_budget_stops_and_writes_nothing(tmp_path: Path) -> None:
    budget = Budget(tmp_path / "privacy/budget.jsonl", scope())
    left = budget.steps_left(0.05)
    assert left > 10
    budget.spend("one", 0.05, left - 3)
    before = budget.path.read_bytes()
    with pytest.raises(FlaresegError, match="budget is spent") as caught:
        budget.spend("one", 0.05, 4)
    assert caught.value.code is ErrorCode.BUDGET
    assert budget.path.read_bytes() == before
    assert budget.spend("one", 0.05, 3) <= 3.0
    assert budget.steps_left(0.05) == 0


def test_a_second_job_goes_on_where_the_first_ended(tmp_path: Path) -> None:
    path = tmp_path / "budget.jsonl"
    first = Budget(path, scope()).spend("one", 0.05, 10)
    second = Budget(path, scope(noise_multiplier=2.0)).spend("two", 0.1, 10)
    assert second > first
    assert second == pytest.approx(spent_epsilon([spending(0.05, 1.1, 10), spending(0.1, 2.0, 10)], 1e-5))
    assert [item.job for item in Budget(path, scope()).spendings()] == ["one", "two"]


def test_two_jobs_at_once_do_not_spend_the_same_budget(tmp_path: Path) -> None:
    path = tmp_path / "budget.jsonl"
    share = Budget(path, scope()).steps_left(0.05) // 4

    def spend(number: int) -> bool:
        try:
            Budget(path, scope()).spend(str(number), 0.05, share)
        except FlaresegError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(spend, range(8))) == 4
    assert Budget(path, scope()).epsilon() <= 3.0


@pytest.mark.parametrize("content", ["{}\n", '{"job": "one", "steps": -5}\n', "no json\n"])
def test_a_damaged_budget_is_no_empty_one(tmp_path: Path, content: str) -> None:
    path = tmp_path / "budget.jsonl"
    path.write_text(content)
    with pytest.raises(DataError, match="line is not a budget entry") as caught:
        Budget(path, scope()).spend("one", 0.05, 1)
    assert caught.value.code is ErrorCode.BUDGET


@pytest.fixture
def spent(tmp_path: Path) -> Budget:
    """A site's budget after three rounds, its end recorded in the ledger."""
    budget = Budget.of_site(tmp_path, scope())
    for _ in range(3):
        budget.spend("one", 0.05, 4)
    return budget


def _cheaper(lines: list[bytes]) -> list[bytes]:
    return [lines[0].replace(b'"steps": 4', b'"steps": 1'), *lines[1:]]


def _cheaper_last(lines: list[bytes]) -> list[bytes]:
    return [*lines[:-1], lines[-1].replace(b'"steps": 4', b'"steps": 1')]


TAMPERED: dict[str, Callable[[list[bytes]], list[bytes]]] = {
    "a line changed": _cheaper,
    "the last line changed": _cheaper_last,
    "the last line cut": lambda lines: lines[:-1],
    "two lines cut": lambda lines: lines[:1],
    "emptied": lambda lines: [],
    "the first line gone": lambda lines: lines[1:],
    "a line twice": lambda lines: [*lines, lines[-1]],
}


@pytest.mark.parametrize("tamper", TAMPERED.values(), ids=TAMPERED)
def test_a_budget_that_was_changed_or_cut_spends_nothing_more(
    spent: Budget, tamper: Callable[[list[bytes]], list[bytes]]
) -> None:
    lines = tamper(spent.path.read_bytes().splitlines())
    spent.path.write_bytes(b"".join(line + b"\n" for line in lines))
    before = spent.path.read_bytes()
    for use in (lambda: spent.spend("two", 0.05, 1), spent.epsilon, lambda: spent.steps_left(0.05)):
        with pytest.raises(DataError, match=r"does not follow|lines are missing") as caught:
            use()
        assert caught.value.code is ErrorCode.BUDGET
    assert spent.path.read_bytes() == before


def test_a_budget_that_was_deleted_spends_nothing_more(spent: Budget) -> None:
    spent.path.unlink()
    with pytest.raises(DataError, match=r"lines are missing: the ledger's line 3 states another end"):
        spent.spend("two", 0.05, 1)


def test_a_budget_ahead_of_the_ledger_is_believed(spent: Budget) -> None:
    """A power cut between the two lines, and a budget file that several kits share."""
    assert spent.ledger is not None
    ledger = spent.ledger.read_bytes().splitlines(keepends=True)
    spent.ledger.write_bytes(b"".join(ledger[:-1]))
    assert spent.spend("two", 0.05, 1) > 0
    assert [entry.kind for entry in read_ledger(spent.ledger)] == ["budget"] * 3


def test_half_a_line_was_never_spent(spent: Budget) -> None:
    """The steps of a line are taken once it is on the disk. Before, the site could not train any more."""
    content = spent.path.read_bytes()
    for more in (b"{", content.splitlines()[-1]):
        spent.path.write_bytes(content + more)
        assert len(spent.spendings()) == 3
    spent.spend("two", 0.05, 1)
    assert len(spent.spendings()) == 4


def test_on_a_full_disk_nothing_is_spent(spent: Budget) -> None:
    before = spent.path.read_bytes()
    with small_files(len(before) + 20), pytest.raises(FlaresegError, match="cannot be used") as caught:
        spent.spend("two", 0.05, 1)
    assert caught.value.code is ErrorCode.NO_LEDGER
    assert spent.path.read_bytes() == before
    assert spent.path.stat().st_mode & 0o077 == 0
