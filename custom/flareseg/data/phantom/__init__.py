"""Procedural abdomen: CT and MR volumes with labels, the embedded data of the bundle.

Imports ``files`` and ``errors`` only.
"""

from __future__ import annotations

from flareseg.data.phantom.case import PHANTOM_VERSION, PhantomModality, case_rng, make_case
from flareseg.data.phantom.write import DEFAULT_SITES, PhantomSite, write_phantom_site

__all__ = [
    "DEFAULT_SITES",
    "PHANTOM_VERSION",
    "PhantomModality",
    "PhantomSite",
    "case_rng",
    "make_case",
    "write_phantom_site",
]
