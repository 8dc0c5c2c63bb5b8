"""Every kind of fault that the check knows, with its level, meaning and remedy: the one source of all three."""

from flareseg.data.check.kinds.files import FileFault
from flareseg.data.check.kinds.geometry import GeometryFault
from flareseg.data.check.kinds.intensities import IntensityFault
from flareseg.data.check.kinds.kind import Kind, Level
from flareseg.data.check.kinds.labels import LabelFault
from flareseg.data.check.kinds.splits import SplitFault

SUBJECTS: dict[str, type[Kind]] = {
    "Settings and files": FileFault,
    "Geometry": GeometryFault,
    "Intensities": IntensityFault,
    "Labels": LabelFault,
    "Splits": SplitFault,
}
"""The table's parts."""
KINDS: tuple[Kind, ...] = tuple(kind for faults in SUBJECTS.values() for kind in faults)
"""The whole table, in the order in which findings are told."""

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
