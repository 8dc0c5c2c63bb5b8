"""A kit's start scripts: NVFlare's own, with two faults of theirs mended."""

from __future__ import annotations

from pathlib import Path

UMASK = 0o077
"""What a kit's processes, and provisioning itself, write is their owner's alone."""

_IS_OURS = r"""# A number that was left by a process that died may be any other process's by now (flareseg).
is_ours() {
  if [[ -d /proc/self ]]; then tr '\0' ' ' < "/proc/$1/cmdline" 2> /dev/null | grep -qF -- "$2"; else kill -0 "$1"; fi
}
"""
_MENDED = {
    "kill -0 ${dpid} 2> /dev/null 1>&2": 'is_ours "${dpid}" sub_start.sh 2> /dev/null 1>&2',
    "kill -0 ${pid} 2> /dev/null 1>&2": 'is_ours "${pid}" "-m $WORKSPACE" 2> /dev/null 1>&2',
}


def adapt_script(script: Path) -> None:
    """Let a script's processes write for their owner alone, and take no other process for its own.

    NVFlare 2.9's sub_start.sh asks whether *some* process has the number that it left in ``daemon_pid.fl`` or
    ``pid.fl``. After a power cut it may not start at all, or later kill a process that is not its own.
    """
    first, rest = script.read_text().split("\n", 1)
    for asked, mended in _MENDED.items():
        rest = rest.replace(asked, mended)
    script.write_text(f"{first}\numask {UMASK:03o}\n{_IS_OURS}{rest}")
