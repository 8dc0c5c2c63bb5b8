"""The cache: made once, right whatever happens to it, shared by processes, and bounded in memory."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from flareseg.config.site import load_site
from flareseg.config.task import Task
from flareseg.data import cache as cache_module
from flareseg.data import digests as digests_module
from flareseg.data.cache import Cache
from flareseg.data.case import Case
from flareseg.data.datalist import load_cases
from flareseg.data.site_data import SiteData
from flareseg.errors import DataError, ErrorCode


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the cases that were really prepared."""
    names: list[str] = []
    original = cache_module.preprocess

    def counted(case: Case, *rest: Any) -> Any:
        names.append(case.name)
        return original(case, *rest)

    monkeypatch.setattr(cache_module, "preprocess", counted)
    return names


def make(site_file: Path, task: Task, folder: Path) -> tuple[Cache, Case]:
    site = load_site(site_file)
    return Cache(folder, task, site), load_cases(site.data)["training"][0]


def entries(folder: Path) -> list[Path]:
    return [path.parent for path in folder.glob("*/image.npy")]


def change(path: Path, add: int = 1) -> None:
    image = nib.load(path)
    nib.save(nib.Nifti1Image(np.asarray(image.dataobj) + add, image.affine), path)


def test_a_second_load_prepares_nothing(site_file: Path, task: Task, tmp_path: Path, calls: list[str]) -> None:
    cache, case = make(site_file, task, tmp_path / "cache")
    first, second = cache.load(case), cache.load(case)
    assert calls == [case.name]
    np.testing.assert_array_equal(first.image, second.image)
    assert [len(voxels) for voxels in first.foreground] == [int(mask.sum()) for mask in first.label]


def test_a_changed_image_or_setting_is_noticed(
    site_file: Path, task: Task, task_content: dict[str, Any], tmp_path: Path, calls: list[str]
) -> None:
    cache, case = make(site_file, task, tmp_path / "cache")
    cache.load(case)
    change(case.image)
    cache.load(case)
    other = Task.model_validate(task_content | {"modalities": {"CT": {"window": [-100, 100]}}})
    Cache(tmp_path / "cache", other, load_site(site_file)).load(case)
    assert len(calls) == 3


@pytest.mark.parametrize("settled", [True, False])
def test_an_unchanged_file_is_not_read_again_a_changed_one_is(
    site_file: Path, task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settled: bool
) -> None:
    """A file younger than the clock's grain is read again: it could change once more without a trace."""
    monkeypatch.setattr(digests_module, "_SETTLED_SECONDS", -1.0 if settled else 3600.0)
    read: list[Path] = []
    original = Path.open

    def counted(path: Path, *rest: Any, **named: Any) -> Any:
        read.append(path)
        return original(path, *rest, **named)

    cache, case = make(site_file, task, tmp_path / "cache")
    cache.key(case)
    monkeypatch.setattr(Path, "open", counted)
    key = cache.key(case)
    assert [path for path in read if path.suffix == ".gz"] == ([] if settled else [case.image, case.label])
    before = case.image.stat()
    content = bytearray(case.image.read_bytes())
    content[-1] ^= 1
    case.image.write_bytes(content)
    os.utime(case.image, ns=(before.st_atime_ns, before.st_mtime_ns))  # as a copy that keeps the times
    assert case.image.stat().st_size == before.st_size
    assert cache.key(case) != key


def test_what_is_remembered_names_no_path(site_file: Path, task: Task, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(digests_module, "_SETTLED_SECONDS", -1.0)
    cache, case = make(site_file, task, tmp_path / "cache")
    cache.load(case)
    notes = list((tmp_path / "cache" / "digests").iterdir())
    assert len(notes) == 2
    assert not [note for note in notes if case.name in note.name + note.read_text()]
    notes[0].write_bytes(b"{")  # damaged: made anew
    assert cache.key(case) == Cache(tmp_path / "other", task, load_site(site_file)).key(case)


@pytest.mark.parametrize("file", ["image.npy", "label.npy", "foreground.npy", "spacing.npy"])
@pytest.mark.parametrize("left", ["some", "nothing", "no file"])
def test_a_cut_entry_is_made_again(
    site_file: Path, task: Task, tmp_path: Path, calls: list[str], file: str, left: str
) -> None:
    cache, case = make(site_file, task, tmp_path / "cache")
    whole = np.array(cache.load(case).image)
    (entry,) = entries(tmp_path / "cache")
    if left == "no file":
        (entry / file).unlink()
    else:
        os.truncate(entry / file, (entry / file).stat().st_size - 5 if left == "some" else 0)
    np.testing.assert_array_equal(cache.load(case).image, whole)
    assert len(calls) == 2
    assert entries(tmp_path / "cache") == [entry]


@pytest.mark.parametrize("name", ["image.npy", "label.npy", "spacing.npy", "foreground.npy", "sums.json"])
def test_a_flipped_bit_is_another_voxel_for_nobody(
    site_file: Path, task: Task, tmp_path: Path, calls: list[str], name: str
) -> None:
    cache, case = make(site_file, task, tmp_path / "cache")
    cache.load(case)
    (entry,) = entries(tmp_path / "cache")
    whole = {path.name: path.read_bytes() for path in entry.iterdir()}
    spoiled = bytearray(whole[name])
    spoiled[-2] ^= 1 << 3
    (entry / name).write_bytes(spoiled)
    make(site_file, task, tmp_path / "cache")[0].load(case)  # another process
    assert calls == [case.name] * 2
    assert {path.name: path.read_bytes() for path in entry.iterdir()} == whole


def test_nothing_half_written_remains(site_file: Path, task: Task, tmp_path: Path) -> None:
    cache, case = make(site_file, task, tmp_path / "cache")
    case.label.write_bytes(b"")
    with pytest.raises(DataError, match="holds no bytes"):
        cache.load(case)
    assert not entries(tmp_path / "cache")
    assert not list((tmp_path / "cache").glob(".writing-*"))


def test_files_that_change_while_a_job_runs_are_told(site_file: Path, task: Task, tmp_path: Path) -> None:
    """An entry that is gone is made again from the same content, never from another."""
    site = load_site(site_file)
    data = SiteData(task, site.model_copy(update={"memory_gib": 1e-9}), tmp_path / "cache")
    volumes = data.volumes("training")
    wanted = np.array(volumes[0].image)
    for entry in entries(tmp_path / "cache"):
        (entry / "image.npy").unlink()
    np.testing.assert_array_equal(volumes[1].image.shape, volumes[0].image.shape)
    np.testing.assert_array_equal(volumes[0].image, wanted)
    for entry in entries(tmp_path / "cache"):
        (entry / "image.npy").unlink()
    change(volumes.cases[1].image)
    with pytest.raises(DataError, match="changed while they were in use"):
        volumes[1]


def test_a_full_disk_is_told_with_the_folder(site_file: Path, task: Task, tmp_path: Path) -> None:
    cache, case = make(site_file, task, tmp_path / "cache")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(DataError, match=r"cache: cannot keep prepared volumes") as error:
            cache.load(case)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert error.value.code is ErrorCode.CACHE_UNUSABLE
    assert not list((tmp_path / "cache").glob(".writing-*"))
    assert cache.load(case).image.any()


LOAD = """
import hashlib, sys, time
from pathlib import Path
import numpy as np
from flareseg.data.site_data import SiteData
from flareseg.config.site import load_site
from flareseg.config.task import load_task
folder = Path(sys.argv[1])
print("ready", flush=True)
while not (folder / "go").exists():
    time.sleep(0.001)
data = SiteData(load_task(folder / "task.yaml"), load_site(folder / "site" / "site.yaml"), folder / "cache")
digest = hashlib.sha256()
for split in ("training", "validation", "testing"):
    for volume in data.volumes(split):
        digest.update(np.array(volume.image).tobytes() + np.array(volume.label).tobytes())
print(digest.hexdigest(), flush=True)
"""


def start(script: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("before", ["empty", "damaged"])
def test_two_processes_share_one_cache(site_file: Path, task: Task, tmp_path: Path, before: str) -> None:
    (tmp_path / "task.yaml").write_text(task.model_dump_json())
    data = SiteData(task, load_site(site_file), tmp_path / "alone")
    if before == "damaged":
        SiteData(task, load_site(site_file), tmp_path / "cache")
        for entry in entries(tmp_path / "cache"):
            os.truncate(entry / "label.npy", 3)
    processes = [start(LOAD, tmp_path) for _ in range(2)]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    (tmp_path / "go").touch()
    outputs = [process.communicate(timeout=120) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    assert outputs[0][0] == outputs[1][0] != ""
    assert sorted(path.name for path in entries(tmp_path / "cache")) == sorted(
        path.name for path in entries(tmp_path / "alone")
    )
    assert not list((tmp_path / "cache").glob(".writing-*"))
    assert len(data.volumes("training")[0].image) == 1


DIE = """
import os, signal, sys
import numpy as np
original = np.save
def save(path, *rest, **named):
    original(path, *rest, **named)
    if path.name == "label.npy":
        os.kill(os.getpid(), signal.SIGKILL)
np.save = save
"""
HOLD = """
import sys, time
from pathlib import Path
from flareseg.data.scratch import scratch_folder
with scratch_folder(Path(sys.argv[1]) / "cache") as folder:
    print(folder, flush=True)
    time.sleep(600)
"""


def test_what_a_killed_process_left_is_swept_and_what_a_living_one_writes_is_not(
    site_file: Path, task: Task, tmp_path: Path
) -> None:
    (tmp_path / "task.yaml").write_text(task.model_dump_json())
    (tmp_path / "go").touch()
    killed = start(DIE + LOAD, tmp_path)
    killed.communicate(timeout=120)
    assert killed.returncode == -signal.SIGKILL
    (left,) = (tmp_path / "cache").glob(".writing-*")
    holder = start(HOLD, tmp_path)
    try:
        assert holder.stdout is not None
        held = Path(holder.stdout.readline().strip())
        assert held.is_dir()
        SiteData(task, load_site(site_file), tmp_path / "cache")
        assert left.is_dir()  # young: its owner might be about to lock it
        for folder in (left, held):
            os.utime(folder, (time.time() - 3600, time.time() - 3600))
        SiteData(task, load_site(site_file), tmp_path / "cache")
        assert not left.exists()
        assert held.is_dir()
    finally:
        holder.kill()
        holder.communicate()


RSS = """
import sys
from pathlib import Path
import numpy as np
import psutil
from flareseg.data.cache import Cache
from flareseg.data.sampling import PatchSampler
from flareseg.data.site_data import SiteData
from flareseg.config.site import load_site
from flareseg.config.task import load_task
folder = Path(sys.argv[1])
site, task = load_site(folder / "site" / "site.yaml"), load_task(folder / "task.yaml")
SiteData(task, site, folder / "cache")
for limit in sys.argv[2:]:
    data = SiteData(task, site.model_copy(update={"memory_gib": float(limit) / 1024}), folder / "cache")
    sampler = PatchSampler(data.volumes("training"), task.patch, 0.5, range(3))
    before, peak = psutil.Process().memory_info().rss, 0
    for draw in range(24):
        sampler.draw(4, np.random.default_rng(draw))
        for volume in data.volumes("training")[draw % 8 : draw % 8 + 2]:
            volume.image.sum()
        peak = max(peak, psutil.Process().memory_info().rss)
    print((peak - before) / 2**20)
"""


def test_memory_follows_the_setting_not_the_data(site_file: Path, task: Task, tmp_path: Path) -> None:
    """Eight volumes of 13 MiB: all are held where 200 MiB may be, two where 30 may be."""
    rng = np.random.default_rng(0)
    for path in (site_file.parent / "images").iterdir():
        path.unlink()
        (site_file.parent / "labels" / path.name).unlink()
    for number in range(12):
        label = (rng.random((160, 160, 64)) > 0.5).astype(np.uint8)
        image = (label * 100).astype(np.int16)
        image[0, 0, 0] = number
        for kind, array in (("images", image), ("labels", label)):
            nib.save(nib.Nifti1Image(array, np.diag([2.0, 2.0, 5.0, 1.0])), site_file.parent / kind / f"{number}.nii")
    text = site_file.read_text().replace("images/*.nii.gz", "images/*.nii").replace("labels/*.nii.gz", "labels/*.nii")
    site_file.write_text(text)
    (tmp_path / "task.yaml").write_text(task.model_dump_json())
    process = start(RSS, tmp_path, 30, 200)
    output, error = process.communicate(timeout=300)
    assert process.returncode == 0, error
    bounded, free = map(float, output.split())
    assert bounded < 35
    assert free > 60
