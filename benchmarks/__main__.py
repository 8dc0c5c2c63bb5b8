"""``python -m benchmarks [--quick] [case ...]``: one table, and build/bench/bench.json."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from benchmarks import fedgs_server, fedgs_site, feeding, gin, job, preparing, wire
from benchmarks.measure import REPOSITORY, Row, machine

CASES: dict[str, Callable[..., list[Row]]] = {
    "gin": gin.run,
    "site": fedgs_site.run,
    "server": fedgs_server.run,
    "job": job.run,
    "wire": wire.run,
    "preparing": preparing.run,
    "feeding": feeding.run,
}
OUTPUT = REPOSITORY / "build" / "bench" / "bench.json"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Ratios to peers, measured here and now.")
    parser.add_argument("cases", nargs="*", metavar="case", help=f"some of {', '.join(CASES)}; all where none is given")
    parser.add_argument("--quick", action="store_true", help="small sizes and few repeats: shows that it runs, no more")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="the JSON file (default: %(default)s)")
    given = parser.parse_args(arguments)
    if unknown := set(given.cases) - CASES.keys():
        parser.error(f"no such case: {', '.join(sorted(unknown))}; there are {', '.join(CASES)}")

    torch.set_num_threads(1)  # as a site trains: several processes share a machine
    console = Console(width=None if sys.stdout.isatty() else 200)
    facts = machine()
    rows: dict[str, list[Row]] = {}
    for case in given.cases or CASES:
        started = time.perf_counter()
        rows[case] = CASES[case](quick=given.quick)
        print(f"{case}: {time.perf_counter() - started:.0f} s", file=sys.stderr)
    console.print(table(rows))
    given.output.parent.mkdir(parents=True, exist_ok=True)
    content = {
        "machine": facts,
        "quick": given.quick,
        "rows": [{"case": case, **row.as_dict()} for case, of_case in rows.items() for row in of_case],
    }
    given.output.write_text(json.dumps(content, indent=1) + "\n")
    console.print(f"Written to {given.output}")
    return 0


def table(rows: dict[str, list[Row]]) -> Table:
    result = Table("case", "what", "size", "ours", "reference", "unit", "ratio", "target", "", "limited by")
    for case, of_case in rows.items():
        for row in of_case:
            verdict = {True: "met", False: "MISSED", None: "" if row.ratio is not None else "not run"}[row.met]
            figures = (_number(row.ours), _number(row.reference), row.unit, _number(row.ratio), _number(row.target))
            result.add_row(case, row.name, row.size, *figures, verdict, row.limit if row.met is not True else "")
        result.add_section()
    return result


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


if __name__ == "__main__":
    sys.exit(main())
