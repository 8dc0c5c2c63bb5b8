"""``make test-faults``: every fault with real processes on loopback, as a table and as JSON."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from faults import server_faults, site_faults
from faults.finding import Finding, Stopwatch, table
from faults.ward import Ward

FAULTS: dict[str, Callable[[Ward], list[Finding]]] = {
    "job-process-killed": server_faults.job_process_killed,
    "killed-while-scoring": server_faults.killed_while_scoring,
    "server-killed": server_faults.server_killed,
    "disk-full": server_faults.disk_full,
    "two-jobs": server_faults.two_jobs,
    "site-killed": site_faults.killed_and_back,
    "site-dies-early": site_faults.dies_before_heartbeat,
    "site-slow": site_faults.slow,
    "half-gone": site_faults.half_gone,
    "site-paused": site_faults.paused,
    "port-blocked": site_faults.port_blocked,
}


def write(findings: list[Finding], path: Path) -> None:
    """Write what was found so far."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([item.as_dict() for item in findings], indent=2) + "\n")


def main() -> int:
    """Run the faults that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("faults", nargs="*", metavar="FAULT", help=f"one of {', '.join(FAULTS)}; default: all")
    parser.add_argument("--output", type=Path, default=Path("build/faults.json"))
    parser.add_argument("--keep", type=Path, help="folder for the federation, kept; default: a temporary one")
    wanted = parser.parse_args()
    unknown = sorted(set(wanted.faults) - FAULTS.keys())
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # whoever ends this ends the federation too
    console, findings = Console(width=160), []
    with tempfile.TemporaryDirectory(prefix="flareseg-faults-") as folder:
        ward = Ward(wanted.keep or Path(folder) / "run")
        try:
            ward.provision()
            ward.start()
            for name in wanted.faults or FAULTS:
                watch = Stopwatch()
                try:
                    findings += FAULTS[name](ward)
                except Exception as error:
                    findings.append(Finding(name, problem=f"{type(error).__name__}: {error}"[:600]))
                    traceback.print_exc()
                console.print(f"{name}: {watch.seconds()} s", highlight=False)
                write(findings, wanted.output)
        finally:
            ward.close()
    console.print(table(findings))
    return 1 if any(item.problem or item.lost for item in findings) else 0


if __name__ == "__main__":
    sys.exit(main())
