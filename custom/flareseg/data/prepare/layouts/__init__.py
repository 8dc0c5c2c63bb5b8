"""Layouts of public and clinical data sets: a reader each that lists the cases of a source folder.

Imports the datalist and preparation's label map.
"""

from __future__ import annotations

from typing import Literal, get_args

from flareseg.data.prepare.layouts import amos, chaos, lits, msd, nnunet, patterns, polypgen, totalsegmentator
from flareseg.data.prepare.layouts.source import Reader

LayoutName = Literal["totalsegmentator", "amos", "lits", "msd", "chaos", "polypgen", "nnunet", "patterns"]

_MODULES = (totalsegmentator, amos, lits, msd, chaos, polypgen, nnunet, patterns)
READERS: dict[LayoutName, Reader] = {
    name: module.read for name, module in zip(get_args(LayoutName), _MODULES, strict=True)
}
"""The reader of each layout."""
