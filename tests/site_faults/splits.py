"""Cases and patients over the splits."""

from __future__ import annotations

import nibabel as nib
import numpy as np

from flareseg.data.faults import SplitFault
from site_faults.site import PlantedSite, change, fault


def _copy(site: PlantedSite, of: int, to: int) -> None:
    """The same voxels in another file: another type, another compression."""
    change(site.image(of))
    old = nib.load(site.image(of))
    nib.save(nib.Nifti1Image(np.asarray(old.dataobj).astype(np.float32), old.affine), site.image(to))


@fault(SplitFault.NO_TRAINING, "error", "no training cases", case=None, quick=True)
def no_training(site: PlantedSite) -> None:
    site.datalist["training"] = []


@fault(SplitFault.FEW_TRAINING, "warning", "1 of 3 cases is for training", case=None, quick=True)
def few_training(site: PlantedSite) -> None:
    del site.datalist["training"][1:]


@fault(SplitFault.NO_VALIDATION, "warning", "none of 5 cases is for validation", case=None, quick=True)
def no_validation(site: PlantedSite) -> None:
    del site.datalist["validation"]


@fault(SplitFault.NO_TESTING, "warning", "none of 5 cases is for testing", case=None, quick=True)
def no_testing(site: PlantedSite) -> None:
    del site.datalist["testing"]


@fault(SplitFault.PATIENT_IN_TWO_SPLITS, "error", "Patient p7 is in testing and training", quick=True)
def patient_by_key(site: PlantedSite) -> None:
    site.datalist["training"][1]["patient"] = site.datalist["testing"][0]["patient"] = "p7"


@fault(SplitFault.PATIENT_IN_TWO_SPLITS, "error", "Patient sub-07 is in training and validation", case=None, quick=True)
def patient_by_name(site: PlantedSite) -> None:
    """BIDS names the patient."""
    for split, number, session in (("training", 1, "a"), ("validation", 4, "b")):
        name = f"images/sub-07_ses-{session}.nii.gz"
        site.image(number).rename(site.folder / name)
        entry = next(item for item in site.datalist[split] if f"case-{number}" in item["image"])
        entry["image"] = name


@fault(SplitFault.PATIENT_DOUBTFUL, "warning", "such as 176OLCV1", case=None, quick=True)
def patient_doubtful(site: PlantedSite) -> None:
    names = {0: "176OLCV1_1", 1: "176OLCV1_2", 2: "180OLCV1_1", 3: "181OLCV1_1", 4: "176OLCV1_3", 5: "182OLCV1_1"}
    for entries in site.datalist.values():
        for entry in entries:
            number = int(entry["image"][len("images/case-")])
            entry["image"] = f"images/{names[number]}.nii.gz"
            site.image(number).rename(site.folder / entry["image"])


@fault(SplitFault.CASE_IN_TWO_SPLITS, "error", "is listed in testing and training", quick=True)
def case_in_two_splits(site: PlantedSite) -> None:
    site.datalist["testing"].append(site.entry(1))


@fault(SplitFault.CASE_TWICE, "warning", "is listed 2 times in training", quick=True)
def case_twice(site: PlantedSite) -> None:
    site.datalist["training"].append(site.entry(1))


@fault(
    SplitFault.LABEL_SHARED,
    "warning",
    "is the label of case-1.nii.gz and case-2.nii.gz",
    quick=True,
    also=(SplitFault.LABEL_DUPLICATE,),
)
def label_shared(site: PlantedSite) -> None:
    site.datalist["training"][2]["label"] = site.datalist["training"][1]["label"]


@fault(SplitFault.NAMES_DIFFER_BY_CASE, "warning", "differ only in capitals", case=None, quick=True)
def names_differ_by_case(site: PlantedSite) -> None:
    site.image(2).rename(site.folder / "images/CASE-1.nii.gz")
    site.datalist["training"][2]["image"] = "images/CASE-1.nii.gz"


@fault(SplitFault.DUPLICATE_IN_TWO_SPLITS, "error", "(testing) hold the same voxels")
def duplicate_in_two_splits(site: PlantedSite) -> None:
    _copy(site, of=1, to=5)


@fault(SplitFault.DUPLICATE, "warning", "images/case-2.nii.gz (training) hold the same voxels")
def duplicate(site: PlantedSite) -> None:
    _copy(site, of=1, to=2)


@fault(SplitFault.LABEL_DUPLICATE, "warning", "The labels of images/case-1.nii.gz (training) and images/case-3.nii.gz")
def label_duplicate(site: PlantedSite) -> None:
    site.label(3).write_bytes(site.label(1).read_bytes())
