"""Files and settings."""

from __future__ import annotations

import gzip

from flareseg.data.faults import FileFault, GeometryFault, LabelFault
from site_faults.site import PlantedSite, change, fault


@fault(FileFault.TASK_MISMATCH, "error", "missing: spleen", case=None, quick=True, also=(LabelFault.VALUES_UNMAPPED,))
def task_mismatch(site: PlantedSite) -> None:
    del site.settings["labels"]["spleen"]


@fault(
    FileFault.NOTHING_ANNOTATED,
    "error",
    "every label is null",
    case=None,
    quick=True,
    also=(LabelFault.VALUES_UNMAPPED,),
)
def nothing_annotated(site: PlantedSite) -> None:
    site.settings["labels"] = dict.fromkeys(site.settings["labels"])


@fault(FileFault.ROOT_MISSING, "error", "nowhere: no such folder", case=None, quick=True)
def root_missing(site: PlantedSite) -> None:
    site.settings["data"]["root"] = str(site.folder / "nowhere")


@fault(FileFault.ROOT_FORBIDDEN, "error", "permission denied", case=None, forbidden=True)
def root_forbidden(site: PlantedSite) -> None:
    site.settings["data"]["root"] = str(site.folder / "images")
    (site.folder / "images").chmod(0o700)


@fault(FileFault.DATALIST_MISSING, "error", "other.json: no such file", case=None, quick=True)
def datalist_missing(site: PlantedSite) -> None:
    site.settings["data"]["datalist"] = "other.json"


@fault(FileFault.DATALIST_BAD, "error", "not a MONAI datalist", case=None, quick=True)
def datalist_bad(site: PlantedSite) -> None:
    site.datalist["training"][0] = {"image": ["two.nii.gz", "channels.nii.gz"], "label": "one.nii.gz"}


@fault(FileFault.PATTERN_BAD, "error", "../images/*.nii.gz should stay below", case=None, quick=True)
def pattern_bad(site: PlantedSite) -> None:
    site.use_patterns()
    site.settings["data"]["images"] = "../images/*.nii.gz"


@fault(FileFault.NO_IMAGES, "error", "matches the image pattern scans/*.nii.gz", case=None, quick=True)
def no_images(site: PlantedSite) -> None:
    site.use_patterns()
    site.settings["data"]["images"] = "scans/*.nii.gz"


@fault(FileFault.IMAGE_WITHOUT_LABEL, "error", "images/case-1.nii.gz: has no label", quick=True)
def image_without_label(site: PlantedSite) -> None:
    site.use_patterns()
    site.label(1).unlink()


@fault(FileFault.LABEL_WITHOUT_IMAGE, "error", "labels/case-1.nii.gz: has no image", quick=True)
def label_without_image(site: PlantedSite) -> None:
    site.use_patterns()
    site.image(1).unlink()


@fault(FileFault.FILE_MISSING, "error", "case-1.nii.gz: no such file, but the datalist names it", quick=True)
def file_missing(site: PlantedSite) -> None:
    site.label(1).unlink()


@fault(FileFault.OUTSIDE_ROOT, "error", "lies outside the data root", quick=True)
def outside_root(site: PlantedSite) -> None:
    """By a link, in a site of patterns."""
    site.use_patterns()
    elsewhere = site.folder.parent / "elsewhere.nii.gz"
    site.image(1).rename(elsewhere)
    site.image(1).symlink_to(elsewhere)


@fault(FileFault.OUTSIDE_ROOT, "error", "lies outside the data root", quick=True)
def datalist_outside_root(site: PlantedSite) -> None:
    """By a link, in a datalist."""
    elsewhere = site.folder.parent / "elsewhere.nii.gz"
    site.label(1).rename(elsewhere)
    site.label(1).symlink_to(elsewhere)


@fault(FileFault.FILE_FORBIDDEN, "error", "case-1.nii.gz: permission denied", forbidden=True)
def file_forbidden(site: PlantedSite) -> None:
    site.label(1).chmod(0o600)
    site.datalist = {"training": [site.entry(1)]}  # one case alone is read by the command's own process


@fault(FileFault.FILE_EMPTY, "error", "holds no bytes", quick=True)
def file_empty(site: PlantedSite) -> None:
    site.image(1).write_bytes(b"")


@fault(FileFault.SUFFIX_UNKNOWN, "error", "case-1.mha: expected .nii or .nii.gz for CT", case=None, quick=True)
def suffix_unknown(site: PlantedSite) -> None:
    site.image(1).rename(site.image(1).with_name("case-1.mha"))
    site.datalist["training"][1]["image"] = "images/case-1.mha"


@fault(FileFault.SUFFIX_WRONG, "error", "the content is not compressed, against the name", quick=True)
def suffix_wrong(site: PlantedSite) -> None:
    site.image(1).write_bytes(gzip.decompress(site.image(1).read_bytes()))


@fault(FileFault.FILE_UNREADABLE, "error", "cannot be decoded", quick=True)
def no_header(site: PlantedSite) -> None:
    site.image(1).write_bytes(gzip.compress(b"no NIfTI at all " * 99))


@fault(FileFault.FILE_UNREADABLE, "error", "cannot be decoded (CRC check failed")
def damaged(site: PlantedSite) -> None:
    """A file of the right length, with a voxel that is not what was written: the checksum tells."""
    content = bytearray(site.image(1).read_bytes())
    content[-8] ^= 1
    site.image(1).write_bytes(content)


@fault(FileFault.FILE_UNREADABLE, "error", "cannot be decoded", quick=True, modality="RGB")
def no_picture(site: PlantedSite) -> None:
    site.image(1).write_bytes(b"no picture")


@fault(FileFault.FILE_TRUNCATED, "error", "ends too early")
def truncated(site: PlantedSite) -> None:
    site.image(1).write_bytes(site.image(1).read_bytes()[:-500])


@fault(FileFault.FILE_TRUNCATED, "error", "expected 8800 bytes, found 5000", case=None, quick=True)
def truncated_plain(site: PlantedSite) -> None:
    """Without compression the size tells."""
    plain = site.image(1).with_suffix("")
    plain.write_bytes(gzip.decompress(site.image(1).read_bytes())[:5000])
    site.datalist["training"][1]["image"] = "images/case-1.nii"


@fault(FileFault.FILE_TRUNCATED, "error", "ends too early", modality="RGB")
def truncated_frame(site: PlantedSite) -> None:
    site.image(1).write_bytes(site.image(1).read_bytes()[:-2000])


@fault(FileFault.IMAGE_IS_LABEL, "error", "is given as image and as label", quick=True)
def image_is_label(site: PlantedSite) -> None:
    site.datalist["training"][1]["label"] = site.datalist["training"][1]["image"]


@fault(FileFault.NOT_PREPARABLE, "error", "more memory than there is", count=6, also=(GeometryFault.RESAMPLED_FAR,))
def not_preparable(site: PlantedSite) -> None:
    site.task["spacing"] = [1e-5, 1e-5, 1e-5]


@fault(FileFault.CHANNEL_MISSING, "error", "has no t2 beside it", quick=True)
def channel_missing(site: PlantedSite) -> None:
    _two_channels(site)
    (site.folder / "t2" / "case-1.nii.gz").unlink()


@fault(
    FileFault.CHANNEL_MISSING,
    "error",
    "the case has one image without a name",
    quick=True,
    count=6,
    case=0,
)
def no_channels(site: PlantedSite) -> None:
    """A datalist that names no channels, for a task that does."""
    site.task["channels"] = ["t1", "t2"]


@fault(FileFault.CASE_AMBIGUOUS, "error", "case-1.nii.gz: is the same case as", quick=True)
def two_spellings(site: PlantedSite) -> None:
    """A copy whose ending is in capitals."""
    site.use_patterns()
    site.image(1).with_name("case-1.NII.GZ").write_bytes(site.image(1).read_bytes())


@fault(FileFault.EXCLUDE_UNUSED, "warning", "no case has the name case-7", case=None, quick=True)
def exclude_misspelt(site: PlantedSite) -> None:
    site.settings["data"]["exclude"] = ["case-7"]


def _two_channels(site: PlantedSite) -> None:
    """Patterns of two channels; the second is a copy of the first in other numbers."""
    site.task["channels"] = ["t1", "t2"]
    site.use_patterns()
    site.settings["data"]["images"] = {"t1": "images/*.nii.gz", "t2": "t2/*.nii.gz"}
    (site.folder / "t2").mkdir()
    for number in range(6):
        path = site.folder / "t2" / f"case-{number}.nii.gz"
        path.write_bytes(site.image(number).read_bytes())
        change(path, lambda array: array // 2)
