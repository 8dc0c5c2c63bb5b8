from __future__ import annotations

import gc
import platform
import subprocess
import sys

from flareseg.memory import freeze_garbage


def test_glibc_takes_the_setting() -> None:
    """In a process of its own: the setting stays for as long as the process."""
    code = "from flareseg.memory import keep_freed_pages; print(keep_freed_pages())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(platform.libc_ver()[0] == "glibc")


def test_what_is_frozen_is_not_looked_at_again() -> None:
    kept = [[number] for number in range(1000)]
    try:
        freeze_garbage()
        assert gc.get_freeze_count() > len(kept)
        assert not any(kept is item for item in gc.get_objects())
    finally:
        gc.unfreeze()
