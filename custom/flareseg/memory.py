"""Memory of a long-running process: what the garbage collector looks at, and what the allocator gives back."""

from __future__ import annotations

import ctypes
import gc
import logging

logger = logging.getLogger(__name__)

# glibc's mallopt(3). Above 32 MiB glibc refuses the first.
_MMAP_THRESHOLD, _LARGEST_MMAP_THRESHOLD = -3, 32 << 20
_TRIM_THRESHOLD, _KEPT_BYTES = -1, 512 << 20


def freeze_garbage() -> None:
    """Let the garbage collector forget what is alive now: modules and components, which live as long as the process.

    NVFlare collects after each task. With PyTorch and MONAI loaded that means looking at some half a million objects of
    which none is garbage.
    """
    gc.collect()
    gc.freeze()


def keep_freed_pages() -> bool:
    """Let a freed block wait for the next one of its size, where the C library is glibc.

    By default each of the large blocks of a training step is a mapping of its own, which the kernel clears page by page
    and takes back when it is freed, in every step. At most half a GiB waits; ``malloc_trim``, which NVFlare calls
    between two tasks, gives it back.

    Returns:
        Whether the C library took the setting.
    """
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):  # macOS, musl: their allocators have no such setting
        logger.debug("the C library has no mallopt: freed pages go back to the system")
        return False
    return bool(mallopt(_MMAP_THRESHOLD, _LARGEST_MMAP_THRESHOLD) and mallopt(_TRIM_THRESHOLD, _KEPT_BYTES))
