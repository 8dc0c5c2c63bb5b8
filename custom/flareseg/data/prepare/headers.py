"""What headers tell before anything is read: the errors that the check would find in them, and sizes nobody knows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from flareseg.config.site import DataSource, Site
from flareseg.data.case import Case
from flareseg.data.case_files import NIFTI
from flareseg.data.faults import GeometryFault
from flareseg.data.faults.findings import errors
from flareseg.data.prepare.layouts.files import has_ending
from flareseg.data.prepare.layouts.source import BadCase, OrganFiles, SourceCase
from flareseg.data.reader import read_headers


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
        # There is no site.yaml yet: nothing is stated of voxel sizes.
        site = Site(modality=case.modality, data=DataSource(root=Path(), datalist=""), labels={})
        found = read_headers(Case(case.name, case.image, label), site, None)[1]
        if wrong := next(iter(errors(found)), None):
            bad.append(BadCase(case.name, wrong.error()))
        elif any(finding.kind is GeometryFault.SPACING_UNKNOWN for finding in found):
            sizeless.append(case.name)
    return bad, sizeless
