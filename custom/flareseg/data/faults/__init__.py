"""Every kind of fault that the check knows, with its level, meaning and remedy: the one source of all three.

Imports ``errors`` only, so that readers and check can name the same faults.
"""

from flareseg.data.faults.files import FileFault
from flareseg.data.faults.geometry import GeometryFault
from flareseg.data.faults.intensities import IntensityFault
from flareseg.data.faults.kind import Kind, Level
from flareseg.data.faults.labels import LabelFault
from flareseg.data.faults.splits import SplitFault

SUBJECTS: dict[str, type[Kind]] = {
    "Settings and files": FileFault,
    "Geometry": GeometryFault,
    "Intensities": IntensityFault,
    "Labels": LabelFault,
    "Splits": SplitFault,
}
"""The table's parts."""
KINDS: tuple[Kind, ...] = tuple(kind for faults in SUBJECTS.values() for kind in faults)
"""The whole table, in the order in which findings are listed."""

__all__ = [
    "KINDS",
    "SUBJECTS",
    "FileFault",
    "GeometryFault",
    "IntensityFault",
    "Kind",
    "LabelFault",
    "Level",
    "SplitFault",
]
