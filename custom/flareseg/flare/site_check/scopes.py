"""The privacy scopes of a site: can each be read, and is installed what it needs?"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec

from flareseg.errors import SettingsError
from flareseg.flare.site_check.kit import Kit
from flareseg.flare.site_check.report import Check, green, red
from flareseg.privacy.scopes import DifferentialPrivacy, Encrypted, read_scope

_NAME = "privacy scopes"
_NEEDS = {DifferentialPrivacy.name: ("opacus", "dp"), Encrypted.name: ("tenseal", "encryption")}


def check_scopes(kit: Kit, installed: Callable[[str], object] = find_spec) -> Check:
    """Check ``local/privacy.json``.

    A scope that needs a package which is missing is more than a scope that cannot be used: NVFlare builds the filters
    of all scopes when a job starts, so that without TenSEAL no job would run.

    Args:
        kit: the kit.
        installed: gives None for a package that is not installed.
    """
    try:
        scopes = kit.local_json("privacy.json")["scopes"]
        names = [read_scope(scope["name"], scope.get("properties", {})).name for scope in scopes]
    except SettingsError as error:
        return red(_NAME, error.message, error.remedy)
    except (KeyError, TypeError, AttributeError):
        return red(_NAME, "local/privacy.json has no list of scopes", "Restore the file of the kit.")
    for name in names:
        package, extra = _NEEDS.get(name, ("", ""))
        if package and installed(package) is None:
            return red(
                _NAME,
                f"{name} needs {package}, which is not installed",
                f"pip install 'flareseg[{extra}]', or take {name} out of local/privacy.json.",
            )
    return green(_NAME, ", ".join(names))
