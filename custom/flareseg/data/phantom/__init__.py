"""Procedural abdomen: CT and MR volumes with labels, the embedded data of the bundle.

Imports ``files`` and ``errors`` only.
"""

from __future__ import annotations

from flareseg.data.phantom.case import PHANTOM_VERSION, Modality, case_rng, make_case
from flareseg.data.phantom.write import DEFAULT_SITES, PhantomSite, write_site

__all__ = [
    "DEFAULT_SITES",
    "PHANTOM_VERSION",
    "Modality",
    "PhantomSite",
    "case_rng",
    "make_case",
    "write_site",
]
