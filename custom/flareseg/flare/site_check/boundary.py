"""The trust boundary of a site: does every process of its kit guard its cell before it hears anybody?"""

from __future__ import annotations

from flareseg.errors import SettingsError
from flareseg.flare.provision.policy import CELL_BOUNDARY
from flareseg.flare.site_check.kit import Kit
from flareseg.flare.site_check.report import Check, green, red

_NAME = "cell boundary"


def check_boundary(kit: Kit) -> Check:
    """Check that CellBoundary is the first component of ``startup/fed_client.json`` or ``fed_server.json``."""
    try:
        first = kit.startup_json()["components"][0]["path"]
    except SettingsError as error:
        return red(_NAME, error.message, error.remedy)
    except (KeyError, IndexError, TypeError):
        first = "none"
    if first == CELL_BOUNDARY:
        return green(_NAME, "other sites cannot command this one")
    return red(
        _NAME,
        f"the first component of startup/{kit.startup_file} is {first}, not CellBoundary: it will not start",
        "Unpack the kit anew; a kit of before this version is made anew by the project admin.",
    )
