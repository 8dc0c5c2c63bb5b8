"""From a folder of a known layout to a site's data: conversion where it is due, splits by patient, site.yaml."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from flareseg.data.prepare.divide import divide, one_patient
from flareseg.data.prepare.headers import check_headers
from flareseg.data.prepare.label_map import map_labels
from flareseg.data.prepare.layouts import LAYOUTS
from flareseg.data.prepare.layouts.source import BadCase, Source
from flareseg.data.prepare.notes import notes_on
from flareseg.data.prepare.order import Order
from flareseg.data.prepare.progress_file import Made
from flareseg.data.prepare.select import refuse, select
from flareseg.data.prepare.site_work import SiteWork
from flareseg.data.prepare.window import check_window, eight_bit_cases
from flareseg.data.prepare.write_site import PreparedCase, PreparedSite, write_site
from flareseg.errors import DataError, ErrorCode

Progress = Callable[[int, int], None]
"""Told the number of cases done and of all."""


def prepare(order: Order, progress: Progress) -> list[PreparedSite]:
    """Prepare a source.

    Data of one modality (or centre) goes into the folder, data of several into a folder each below it. What an
    earlier, interrupted run has made of the same files is kept.

    Args:
        order: what to prepare.
        progress: called after each case.

    Returns:
        The sites, by name.

    Raises:
        DataError: the source is not of the layout, cases cannot be used (all are named), or the folder holds something
            else.
        SettingsError: what is wanted does not fit the data.
    """
    source, folder = order.source.expanduser().resolve(), order.folder.expanduser().resolve()
    _check_folders(source, folder)
    found: Source = LAYOUTS.load(order.layout)(source, order.given)
    cases, bad = select(found, order, source)
    misfits, sizeless = check_headers(cases)
    refuse(source, [*bad, *misfits], len(cases) + len(bad))
    sites = sorted({case.site for case in cases})
    labels = {site: map_labels(found.values[site], order.task, order.maps) for site in sites}
    made = Made(folder, order.layout, source)
    places = {site: folder / site if len(sites) > 1 else folder for site in sites}
    work = {site: SiteWork(found.values[site], labels[site], places[site], made, order) for site in sites}
    prepared: list[PreparedCase] = []
    try:
        check_window(cases, order.window, made)
        for number, case in enumerate(cases, start=1):
            try:
                prepared.append(work[case.site].prepare(case))
            except DataError as error:
                bad.append(BadCase(case.name, error))
            progress(number, len(cases))
    finally:
        made.save()
    refuse(source, bad, len(cases))
    splits = divide(one_patient(prepared), order)
    eight_bit = eight_bit_cases(cases) if order.window is None else []
    written = []
    for site in sites:
        meaning = work[site].meaning()
        notes = notes_on([case for case in cases if case.site == site], meaning, eight_bit, sizeless)
        done = write_site(places[site], source, splits[site], meaning, order.window, made)
        written.append(replace(done, notes=(*notes, *done.notes)))
    made.save()
    return written


def _check_folders(source: Path, folder: Path) -> None:
    if not source.is_dir():
        raise DataError(f"{source}: no such folder.", "Give the folder of the data set.", code=ErrorCode.NO_DATA)
    if folder.is_relative_to(source):
        raise DataError(
            f"{folder}: lies in the source {source}, which is never changed.",
            "Choose a folder elsewhere.",
            code=ErrorCode.NO_DATA,
        )
