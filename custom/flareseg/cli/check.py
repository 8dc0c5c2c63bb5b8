"""``flareseg data check``: a site's data, looked at before a network sees it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.progress import MofNCompleteColumn, Progress

from flareseg.cli.console import console, error_console
from flareseg.config.site import load_site
from flareseg.config.task import load_task
from flareseg.data.check.case import CaseCheck
from flareseg.data.check.run import full_check
from flareseg.data.check.summary import summarize
from flareseg.data.faults.findings import errors
from flareseg.errors import ExitCode
from flareseg.report.check_console import check_json, findings_text, summary_tables

EXAMPLES = (
    "Examples: flareseg data check local/site.yaml · "
    "flareseg data check local/site.yaml --task jobs/fedgin-fedgs/app/config/task.yaml --html check.html. "
    "Exit codes: 0 clean, 1 warnings with --strict, 2 errors."
)


def check(
    site_file: Annotated[Path, typer.Argument(metavar="SITE_YAML", help="The site's settings.")],
    task_file: Annotated[Path | None, typer.Option("--task", help="A task.yaml that the data is for.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write a page with images; it stays at the site.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
    strict: Annotated[bool, typer.Option(help="Exit with 1 where there are warnings.")] = False,
) -> None:
    """Read every case of a site, say what is wrong with which, and what training will get."""
    site = load_site(site_file)
    task = None if task_file is None else load_task(task_file)
    scale = None
    if task and task.fedgs:
        from flareseg.learning.gradient_scale import GradientScale  # PyTorch

        scale = GradientScale(task)
    draw = None
    if html:
        from flareseg.report.check_page import draw_case, write_check_page  # matplotlib

        draw = draw_case
    work = CaseCheck(site, task, scale, draw)
    with Progress(*Progress.get_default_columns(), MofNCompleteColumn(), console=error_console) as progress:
        bar = progress.add_task("cases", total=None)
        found = full_check(
            work, site_file, progress=lambda done, total: progress.update(bar, completed=done, total=total)
        )
    summary = summarize(found.cases, task)
    if as_json:
        typer.echo(check_json(found, summary))
    else:
        console.print(summary_tables(summary))
        console.print(findings_text(found, f"{site.data.root}/"))
    if html:
        page = html / "check.html" if html.is_dir() else html
        write_check_page(page, site, site_file.resolve(), task, found, summary)
        error_console.print(f"Page: {page} (it shows images: keep it at the site)", markup=False, soft_wrap=True)
    if errors(found.findings):
        raise typer.Exit(ExitCode.BAD_INPUT)
    if strict and found.findings:
        raise typer.Exit(ExitCode.FAILED)
