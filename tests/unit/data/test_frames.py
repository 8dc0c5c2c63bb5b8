"""RGB frames of every kind become the same input, train in the same learner, and a bad one is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from flareseg.config.site import Site, load_site
from flareseg.config.task import Task
from flareseg.data.case import Case
from flareseg.data.reader import read_case, read_scan
from flareseg.data.site_data import SiteData
from flareseg.errors import DataError, ErrorCode
from flareseg.job.folder import load_job
from flareseg.learning.learner import Learner
from flareseg.networks import initial_state

JOB = Path(__file__).parents[3] / "jobs" / "polyps"
WIDTH, HEIGHT = 40, 24
POLYP = {"polyp": (255,)}


def rgb_site(labels: dict[str, Any]) -> Site:
    return Site(modality="RGB", data={"root": ".", "datalist": "d.json"}, labels=labels)


def read_frame(case: Case, resize: tuple[int, int] | None = None) -> tuple[np.ndarray, np.ndarray]:
    scan = read_scan(case, rgb_site(POLYP), None, resize)
    return scan.image, scan.masks["polyp"].astype(np.uint8)


def disc(x: int = 12, y: int = 8, radius: float = 5) -> np.ndarray:
    """A mask of a disc, bool (height, width)."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    return (columns - x) ** 2 + (rows - y) ** 2 <= radius**2


def colours(mask: np.ndarray, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).integers(0, 30, (*mask.shape, 3))
    return (noise + np.where(mask[..., None], (200, 60, 60), (90, 120, 40))).astype(np.uint8)


def palette(mask: np.ndarray) -> Image.Image:
    drawn = Image.fromarray(mask.astype(np.uint8), "P")
    drawn.putpalette([0, 0, 0, 128, 0, 0])
    return drawn


def save(folder: Path, mask: Image.Image, suffix: str = "png", **options: Any) -> Case:
    Image.fromarray(colours(disc())).save(folder / "frame.png")
    mask.save(folder / f"mask.{suffix}", **options)
    return Case("case", folder / "frame.png", folder / f"mask.{suffix}")


MASKS = {
    "L 0/255": lambda mask: Image.fromarray(mask.astype(np.uint8) * 255),
    "L 0/1": lambda mask: Image.fromarray(mask.astype(np.uint8)),
    "1 bit": lambda mask: Image.fromarray(mask),
    "16 bit 0/65535": lambda mask: Image.fromarray(mask.astype(np.uint16) * 65535),
    "16 bit 0/255": lambda mask: Image.fromarray(mask.astype(np.uint16) * 255),
    "palette, dark red": palette,
    "RGB": lambda mask: Image.fromarray(mask.astype(np.uint8) * 255).convert("RGB"),
    "RGBA": lambda mask: Image.fromarray(mask.astype(np.uint8) * 255).convert("RGBA"),
    "grey with alpha": lambda mask: Image.fromarray(mask.astype(np.uint8) * 255).convert("LA"),
}


@pytest.mark.parametrize("kind", MASKS)
@pytest.mark.parametrize("empty", [False, True])
def test_masks_of_every_mode_are_the_same(tmp_path: Path, kind: str, empty: bool) -> None:
    mask = disc() & (not empty)
    _, got = read_frame(save(tmp_path, MASKS[kind](mask)))
    assert got.shape == (WIDTH, HEIGHT, 1)
    np.testing.assert_array_equal(got[::-1, ::-1, 0].T, mask)


@pytest.mark.parametrize("empty", [False, True])
def test_a_jpeg_mask_is_cut_at_half(tmp_path: Path, empty: bool) -> None:
    mask = disc() & (not empty)
    case = save(tmp_path, Image.fromarray(mask.astype(np.uint8) * 255), "jpg", quality=60)
    assert empty or len(np.unique(np.asarray(Image.open(case.label)))) > 2
    _, got = read_frame(case)
    assert (mask != got[::-1, ::-1, 0].T).sum() <= 0.05 * mask.sum()


def test_a_frame_stands_upright_and_keeps_its_colours(tmp_path: Path) -> None:
    image, _ = read_frame(save(tmp_path, MASKS["L 0/255"](disc())))
    assert image.dtype == np.float32
    np.testing.assert_array_equal(image[:, ::-1, ::-1, 0].transpose(2, 1, 0), colours(disc()))


def test_the_camera_s_orientation_is_applied(tmp_path: Path) -> None:
    case = save(tmp_path, MASKS["L 0/255"](disc()))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    Image.open(case.image).rotate(90, expand=True).save(tmp_path / "turned.png", exif=exif)
    got, _ = read_frame(Case("case", tmp_path / "turned.png", case.label))
    np.testing.assert_array_equal(got, read_frame(case)[0])


def test_resizing_keeps_the_share_of_the_target(tmp_path: Path) -> None:
    image, mask = read_frame(save(tmp_path, MASKS["L 0/1"](disc())), (80, 96))
    assert image.shape == (3, 80, 96, 1)
    assert set(np.unique(mask)) == {0, 1}
    assert mask.mean() == pytest.approx(disc().mean(), rel=0.1)


MEANINGLESS = {
    "void values": (np.array([0, 1, 255]), "found 0, 1, 255"),
    "grey levels": (np.array([0, 128, 255]), "found 0, 128, 255"),
    "another value than site.yaml's": (np.array([0, 2, 2]), "found 0, 2"),
}


def three_areas() -> np.ndarray:
    """0, a disc of 1 and its outline of 2."""
    return disc(radius=8).astype(np.uint8) * 2 - disc(radius=6).astype(np.uint8)


@pytest.mark.parametrize("kind", MEANINGLESS)
def test_a_mask_of_more_than_two_values_is_refused_with_what_it_holds(tmp_path: Path, kind: str) -> None:
    levels, words = MEANINGLESS[kind]
    case = save(tmp_path, Image.fromarray(levels[three_areas()].astype(np.uint8)))
    with pytest.raises(DataError, match=words) as error:
        read_frame(case)
    assert "site.yaml" in error.value.remedy


def test_a_jpeg_mask_of_three_classes_is_refused(tmp_path: Path) -> None:
    levels = np.array([0, 128, 255], np.uint8)
    case = save(tmp_path, Image.fromarray(levels[three_areas()]), "jpg", quality=95)
    with pytest.raises(DataError, match="neither black nor white"):
        read_frame(case)


def coloured(mask: np.ndarray, *colours: int) -> Image.Image:
    drawn = Image.fromarray(mask.astype(np.uint8), "P")
    drawn.putpalette(list(colours))
    return drawn


def test_classes_that_site_yaml_names_are_read_by_index(tmp_path: Path) -> None:
    """Whatever the palette shows: 2 is darker than 1 here."""
    areas = three_areas()
    case = save(tmp_path, coloured(areas, 0, 0, 0, 200, 200, 0, 60, 0, 0))
    scan = read_scan(case, rgb_site({"polyp": 1, "outline": 2, "all": [1, 2]}), None)
    for name, values in {"polyp": [1], "outline": [2], "all": [1, 2]}.items():
        np.testing.assert_array_equal(scan.masks[name][::-1, ::-1, 0].T, np.isin(areas, values))
    assert scan.values == {0, 1, 2}
    _, findings = read_case(case, rgb_site({"polyp": 1, "other": 7}), None)
    assert [finding.kind.id for finding in findings] == ["values-unmapped"]


def test_a_palette_that_shows_the_background_bright_is_read_by_index_and_told(tmp_path: Path) -> None:
    case = save(tmp_path, coloured(disc(), 255, 255, 255, 0, 0, 0))
    scan, findings = read_case(case, rgb_site(POLYP), None)
    assert scan is not None
    np.testing.assert_array_equal(scan.masks["polyp"][::-1, ::-1, 0].T, disc())
    assert [(finding.kind.id, finding.level.value) for finding in findings] == [("mask-inverted", "warning")]


@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (200, 0, 0)])
def test_a_mask_in_the_alpha_channel_is_read_from_there(tmp_path: Path, colour: tuple[int, ...]) -> None:
    pixels = np.dstack([np.broadcast_to(np.uint8(colour), (HEIGHT, WIDTH, 3)), disc().astype(np.uint8) * 255])
    _, mask = read_frame(save(tmp_path, Image.fromarray(pixels, "RGBA")))
    np.testing.assert_array_equal(mask[::-1, ::-1, 0].T, disc())


@pytest.mark.parametrize("colours", [((255, 0, 0),), ((255, 0, 0), (0, 255, 0))])
def test_colours_whose_meaning_nobody_told_are_refused(tmp_path: Path, colours: tuple[tuple[int, ...], ...]) -> None:
    pixels = np.array([(0, 0, 0), *colours, colours[-1]], np.uint8)[three_areas()]
    with pytest.raises(DataError, match=r"holds colours such as \(255, 0, 0\)|\(0, 255, 0\)"):
        read_frame(save(tmp_path, Image.fromarray(pixels)))


@pytest.mark.parametrize("orientations", [(3, 1), (1, 6), (6, 8)])
def test_an_orientation_on_one_of_the_two_files_is_told(tmp_path: Path, orientations: tuple[int, int]) -> None:
    case = save(tmp_path, Image.fromarray(np.ones((HEIGHT, WIDTH), np.uint8)))
    for path, orientation, picture in zip(
        (case.image, case.label),
        orientations,
        (Image.fromarray(colours(disc()[:, :HEIGHT])), MASKS["L 0/255"](disc()[:, :HEIGHT])),
        strict=True,
    ):
        exif = Image.Exif()
        exif[0x0112] = orientation
        picture.save(path, exif=exif)
    findings = read_case(case, rgb_site(POLYP), None)[1]
    assert [(finding.kind.id, finding.level.value) for finding in findings] == [("exif-one-sided", "warning")]


def _cut(case: Case) -> None:
    case.image.write_bytes(case.image.read_bytes()[:400])


def _turned(case: Case) -> None:
    MASKS["L 0/255"](disc().T).save(case.label)


def _classes(case: Case) -> None:
    Image.fromarray(disc().astype(np.uint8) * 2).save(case.label)


def _deep(case: Case) -> None:
    Image.fromarray(disc().astype(np.uint16) * 1000).save(case.image)


def _other_format(case: Case) -> None:
    Image.open(case.image).save(case.image, "GIF")


@pytest.mark.parametrize(
    ("spoil", "code", "words"),
    [
        (_cut, ErrorCode.UNREADABLE_IMAGE, "frame.png: ends too early"),
        (_turned, ErrorCode.SHAPE_MISMATCH, "mask.png: expected the frame's 40 × 24 pixels, found 24 × 40"),
        (_classes, ErrorCode.BAD_LABEL, "mask.png: expected a mask of 0 and 1 .* found 0, 2"),
        (_deep, ErrorCode.SHAPE_MISMATCH, "frame.png: the mode is I;16"),
        (_other_format, ErrorCode.UNREADABLE_IMAGE, "frame.png: cannot be decoded"),
        (lambda case: case.label.unlink(), ErrorCode.NO_DATA, "mask.png: no such file"),
    ],
)
def test_a_bad_frame_is_named_with_its_fault(tmp_path: Path, spoil: Any, code: ErrorCode, words: str) -> None:
    case = save(tmp_path, MASKS["L 0/255"](disc()))
    spoil(case)
    with pytest.raises(DataError, match=words) as error:
        read_frame(case)
    assert error.value.code is code
    assert error.value.case == "case"


def task_of_the_job(**changes: Any) -> Task:
    """jobs/polyps with a small network and few steps."""
    content = load_job(JOB)[1].model_dump(mode="json")
    content["network"]["channels"] = [4, 8]
    content["training"] |= {"rounds": 2, "steps": 3, "batch_size": 2}
    return Task.model_validate(content | changes)


def site(folder: Path, root: Path, images: str, labels: str, value: int = 255) -> Path:
    content = {
        "modality": "RGB",
        "data": {"root": str(root), "images": images, "labels": labels},
        "labels": {"polyp": value},
    }
    path = folder / "site.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def test_frames_train_and_validate_in_the_same_learner(tmp_path: Path) -> None:
    for number in range(6):
        mask = disc(8 + 4 * number, 8 + number, 2 + number) & (number != 2)  # the third is empty
        for kind, picture in (("images", Image.fromarray(colours(mask, number))), ("masks", MASKS["L 0/255"](mask))):
            (tmp_path / kind).mkdir(exist_ok=True)
            picture.save(tmp_path / kind / f"{number}.png", ("JPEG", "PNG")[number % 2])
    task = task_of_the_job(resize=[32, 16], patch=[16, 16], lesion={"label": "polyp", "small_px": 8})
    settings = load_site(site(tmp_path, tmp_path, "images/*.png", "masks/*.png"))
    learner = Learner(task, SiteData(task, settings, tmp_path / "cache"), "site")
    start = initial_state(task)
    result = learner.train(start, 0)
    assert np.isfinite(result.loss)
    assert any(bool(value.any()) for value in result.update.values())
    scores = learner.validate({name: start[name] + result.update[name] for name in start}, "testing")
    assert scores.dice.keys() == {"polyp"}
    (volume, *_) = learner.data.volumes("training")
    assert volume.image.shape == (3, 32, 16, 1)
    assert volume.spacing.tolist() == [1, 1, 1]


@pytest.mark.shared_data
def test_frames_of_a_polypgen_centre_train(shared_dir: Path, tmp_path: Path) -> None:
    """The bundled job's own task on real frames, few steps: the loss falls, small polyps get a scale above 1."""
    root = shared_dir / "data" / "polypgen" / "data_C5"
    assert root.is_dir()
    task = task_of_the_job(training={"steps": 12, "rounds": 2, "batch_size": 4}, network={"channels": [8, 16, 32]})
    path = site(tmp_path, root, "images_C5/*.jpg", "masks_C5/*_mask.png")
    data = SiteData(task, load_site(path), tmp_path / "cache")
    areas = [int(volume.label.sum()) for volume in data.volumes("training")]
    assert 0 in areas
    learner = Learner(task, data, "c5")
    state, losses, scales = initial_state(task), [], []
    for number in range(2):
        result = learner.train(state, number)
        state = {name: value + result.update[name] for name, value in state.items()}
        losses.append(result.loss)
        scales.append(result.mean_scale)
    assert losses[1] < losses[0]
    assert max(scales) > 1
