"""What headers tell before anything is read: the errors that the check would find in them, and sizes nobody knows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from flareseg.config.site import DataSource
from flareseg.data.case import Case
from flareseg.data.case_files import NIFTI, file_faults
from flareseg.data.faults import GeometryFault
from flareseg.data.faults.findings import Finding, errors
from flareseg.data.geometry import header_faults
from flareseg.data.nifti import open_nifti
from flareseg.data.prepare.layouts.files import has_ending
from flareseg.data.prepare.layouts.source import BadCase, OrganFiles, SourceCase
from flareseg.errors import DataError

_NOWHERE = DataSource(root=Path(), datalist="")
"""States nothing of voxel sizes: there is no site.yaml yet."""


def check_headers(cases: Sequence[SourceCase]) -> tuple[list[BadCase], list[str]]:
    """Look at the headers of all NIfTI cases; RGB frames and DICOM series have none.

    Returns:
        The cases with an error: not readable, no volume, or a label that is not on its image's grid. And the names of
        those whose header does not know the voxel size.
    """
    bad, sizeless = [], []
    for case in cases:
        label = next(iter(case.label.files.values()), None) if isinstance(case.label, OrganFiles) else case.label
        if not (isinstance(label, Path) and isinstance(case.image, Path) and has_ending(case.image, NIFTI)):
            continue
        try:
            found = _findings(Case(case.name, case.image, label), case)
        except DataError as error:
            bad.append(BadCase(case.name, error))
            continue
        if wrong := next(iter(errors(found)), None):
            bad.append(BadCase(case.name, wrong.error()))
        elif any(finding.kind is GeometryFault.SPACING_UNKNOWN for finding in found):
            sizeless.append(case.name)
    return bad, sizeless


def _findings(pair: Case, case: SourceCase) -> list[Finding]:
    found = file_faults(pair, case.modality)
    if not errors(found):
        image, label = ((path, open_nifti(path, pair.name)) for path in (pair.image, pair.label))
        found += header_faults(pair, [image], label, _NOWHERE, None)[1]
    return found
