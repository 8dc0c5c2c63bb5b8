"""From a job's result to its model and task, and the site pages of someone who owns every site (POC)."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from flareseg.config.site import SITE_FILE, load_site
from flareseg.data.datalist import load_cases
from flareseg.errors import FlaresegError, SettingsError
from flareseg.files import sha256_of
from flareseg.record.bundle_file import is_bundle
from flareseg.record.run import RunRecord
from flareseg.report.facts import load_record
from flareseg.report.site import write_site_report


def find_model(result: Path) -> Path:
    """Find the winning model of a downloaded result; a model file, and the folder of a bundle, stand for themselves.

    Raises:
        SettingsError: there is no model there.
    """
    if result.is_file() or is_bundle(result):
        return result
    record = load_record(result)
    if record.evaluation.winner is None:
        raise SettingsError(f"{result}: the job ended before a model was chosen.", "Give a model file instead.")
    model = winner_file(record, result)
    if model is None:
        raise SettingsError(
            f"{result}: no flareseg/{record.evaluation.winner}.pt below it.", "Download the result again."
        )
    return model


def winner_file(record: RunRecord, result: Path) -> Path | None:
    """The file of the winning model in a downloaded result; None where none was chosen or it is not there."""
    if record.evaluation.winner is None:
        return None
    return next(iter(sorted(result.rglob(f"flareseg/{record.evaluation.winner}.pt"))), None)


def model_line(result: Path) -> str:
    """The winning model of a result and its SHA-256, in one line; empty if there is none.

    An encrypted model is named too, though only the sites can read it.
    """
    try:
        model = find_model(result)
    except SettingsError:
        return ""
    return f"Model:  {model} (SHA-256 {sha256_of(model)}); see docs/model.md"


def write_owner_pages(
    record: RunRecord, result: Path, kits: Path, folder: Path, tell: Callable[[str], None]
) -> list[tuple[str, str]]:
    """Write the site page of every site whose kit lies on this machine; one that cannot be made is no fault of the run.

    Args:
        record: the run's record.
        result: the downloaded result.
        kits: folder with the startup kit of each site.
        folder: where the pages go.
        tell: hears why a site has no page.

    Returns:
        For each page its label and its path relative to the report beside ``folder``; nothing where the run ended
        before a model was chosen.
    """
    if record.evaluation.winner is None:
        return []
    links = []
    for name in sorted(record.evaluation.testing):
        try:
            page = _write_page(record, result, kits / name, folder / name, name)
        except (FlaresegError, OSError) as error:
            tell(f"No page of {name}'s images: {error}")
        else:
            links.append((name, f"{folder.name}/{name}/{page.name}"))
    return links


def next_line(record: RunRecord, result: Path, kit: Path) -> str:
    """A command that applies the winning model to a test case of a site, in one line; empty if the site has none.

    Args:
        record: the run's record.
        result: the downloaded result.
        kit: the site's startup kit, on this machine.
    """
    site = load_site(kit / "local" / SITE_FILE)
    cases = load_cases(site.data)["testing"]
    if not cases:
        return ""
    program = "flareseg" if shutil.which("flareseg") else sys.argv[0]  # not on the path where nobody activated .venv
    words = [program, "predict", str(_model_of(record, result, kit))]
    words += [str(path) for path in cases[0].files[:-1]]
    return f"Next:   {shlex.join([*words, '--modality', site.modality, '-o', 'predicted', '--preview'])}"


def _model_of(record: RunRecord, result: Path, kit: Path) -> Path:
    """The winning model as a site can read it."""
    decrypted = kit / "models" / f"{record.job_id}.pt"  # what the server could not read, its site keeps decrypted
    return decrypted if decrypted.is_file() else find_model(result)


def _write_page(record: RunRecord, result: Path, kit: Path, folder: Path, name: str) -> Path:
    model = _model_of(record, result, kit)
    site = load_site(kit / "local" / SITE_FILE)
    with_cache = site if site.cache else site.model_copy(update={"cache": kit / "cache"})
    from flareseg.learning.trained import load_trained  # PyTorch, which other commands do without

    return write_site_report(load_trained(model), with_cache, folder, name=name, model_name=model.name)[0]
