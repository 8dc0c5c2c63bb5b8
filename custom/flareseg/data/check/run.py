"""The check of a whole site: quickly from files and headers, or in full, several cases at once."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from flareseg.config.site import Site, check_site_fits
from flareseg.config.task import Task
from flareseg.data.annotation import Annotation
from flareseg.data.case import Case, SplitName
from flareseg.data.check.case import CaseCheck, CaseReport
from flareseg.data.check.duplicates import duplicate_faults, occurrence_faults
from flareseg.data.check.splits import split_faults
from flareseg.data.datalist import list_cases
from flareseg.data.faults import FileFault
from flareseg.data.faults.findings import Finding, errors, in_order
from flareseg.errors import ErrorCode, FlaresegError, SettingsError


@dataclass(frozen=True)
class SiteFindings:
    """What the check found at a site, and what training will get.

    Attributes:
        findings: all of them, errors first.
        cases: of each case, in the order of the splits.
        excluded: number of cases that site.yaml or the datalist excludes.
        left_out: number of cases that training leaves out for a fault of their own; None where it stops instead.
    """

    findings: list[Finding]
    cases: list[CaseReport]
    excluded: int = 0
    left_out: int | None = None


def quick_check(site: Site, task: Task | None, path: Path) -> list[Finding]:
    """Check settings, files, headers and splits; no voxel is read.

    Args:
        site: the site's settings.
        task: the task it is to take part in; None checks the data by itself.
        path: the site.yaml, named in messages.

    Returns:
        The findings, errors first.
    """
    fits, findings = _fitting(site, task, path)
    listing = list_cases(site.data)
    check = CaseCheck(site, fits)
    findings += [*listing.findings, *split_faults(listing.splits, site.data)]
    for cases in listing.splits.values():
        for case in cases:
            findings += check.quick(case)
    return in_order(findings)


def full_check(
    check: CaseCheck,
    path: Path,
    *,
    processes: int | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> SiteFindings:
    """Check everything, reading every voxel.

    Args:
        check: site, task, and what to make of each case.
        path: the site.yaml, named in messages.
        processes: at most so many at once; None is the number of cores. One works in this process.
        progress: called with the numbers of cases done and in all.

    Returns:
        Findings and cases.

    Raises:
        FlaresegError: a process was killed, most likely for want of memory.
    """
    fits, findings = _fitting(check.site, check.task, path)
    if fits is None:
        check = CaseCheck(check.site, None, draw=check.draw)
    listing = list_cases(check.site.data)
    findings += [*listing.findings, *split_faults(listing.splits, check.site.data)]
    listed = [(split, case) for split, cases in listing.splits.items() for case in cases]
    workers = min(processes or len(os.sched_getaffinity(0)), len(listed))
    reports: dict[int, CaseReport] = {}
    progress(0, len(listed))
    for number, report in _all(check, listed, workers):
        reports[number] = report
        progress(len(reports), len(listed))
    cases = [reports[number] for number in range(len(listed))]
    findings += [finding for report in cases for finding in report.findings]
    findings += duplicate_faults(cases)
    findings += occurrence_faults(cases, Annotation.of(check.site, check.task))
    return SiteFindings(in_order(findings), cases, listing.excluded, _bad_cases(findings, check.site))


def _fitting(site: Site, task: Task | None, path: Path) -> tuple[Task | None, list[Finding]]:
    """The task if the site can take part in it, else None: the data is then checked by itself."""
    if not any(site.labels.values()):
        return None, [Finding(FileFault.NOTHING_ANNOTATED, f"{path}: every label is null.")]
    if task is not None:
        try:
            check_site_fits(site, task, path)
        except SettingsError as error:
            return None, [Finding(FileFault.TASK_MISMATCH, error.message)]
    return task, []


def _bad_cases(findings: list[Finding], site: Site) -> int | None:
    if site.data.on_bad_case == "stop":
        return None
    return len({item.case for item in errors(findings) if item.of_one_case})


def _all(check: CaseCheck, listed: list[tuple[SplitName, Case]], workers: int) -> Iterator[tuple[int, CaseReport]]:
    if workers < 2:
        yield from ((number, check.full(*item)) for number, item in enumerate(listed))
        return
    pool = ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"), initializer=_one_thread)
    try:
        with _interrupts_ignored():  # processes start here and inherit it: an interrupt is the parent's to answer
            futures = {pool.submit(check.full, *item): number for number, item in enumerate(listed)}
        for future in as_completed(futures):
            yield futures[future], future.result()
    except BrokenProcessPool:
        raise FlaresegError(
            f"A process of the check was killed while {workers} cases were read at once.",
            "Most likely memory ran out: close other programs, or check on a machine with more memory.",
            code=ErrorCode.OUT_OF_MEMORY,
        ) from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _interrupts_ignored() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():  # signals are the main thread's
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _one_thread() -> None:
    """As many processes as cores: each has one."""
    os.environ["OMP_NUM_THREADS"] = "1"
