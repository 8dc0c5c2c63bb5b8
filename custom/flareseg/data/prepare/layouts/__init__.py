"""Layouts of public and clinical data sets: a module each whose ``read`` lists the cases of a source folder.

Imports the datalist, and what preparation knows of names, of NIfTI and of DICOM files.
"""

from __future__ import annotations

from flareseg.config.seams import Seam

_NAMES = ("totalsegmentator", "amos", "lits", "msd", "chaos", "polypgen", "nnunet", "bids", "dicom", "patterns")

LAYOUTS = Seam(
    "layout", {name: f"flareseg.data.prepare.layouts.{name}:read" for name in _NAMES}, group="flareseg.layouts"
)
"""The reader of each layout, see :class:`flareseg.data.prepare.layouts.source.Reader`."""
