"""Opacus, the library of the privacy scope dp: imported where it is used, since only that scope needs it."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from flareseg.errors import SettingsError


def opacus(module: str) -> ModuleType:
    """Import ``opacus.<module>``.

    Raises:
        SettingsError: Opacus is not installed at this site.
    """
    try:
        return import_module(f"opacus.{module}")
    except ImportError:
        raise SettingsError(
            "The privacy scope dp needs opacus, which is not installed at this site.",
            "Install it: pip install 'flareseg[dp]'.",
        ) from None
