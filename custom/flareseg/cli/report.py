"""``flareseg report``: the page of a run, and the page that stays at a site."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flareseg.cli.console import console, tell
from flareseg.config.site import check_site_fits, load_site
from flareseg.errors import SettingsError
from flareseg.report import load_record, report_facts, summary_table, write_report, write_site_report
from flareseg.report.folder import report_folder
from flareseg.report.owner import find_model, model_line, winner_file
from flareseg.report.statistics import load_statistics, write_statistics

EXAMPLES = (
    "Examples: flareseg report build/demo/result/JOB_ID · "
    "flareseg report build/demo/result/JOB_ID --site local/site.yaml --name ct-a"
)

app = typer.Typer()


@app.command(epilog=EXAMPLES)
def report(
    result: Annotated[Path, typer.Argument(help="Downloaded result of a job, or a model file with --site.")],
    output: Annotated[Path, typer.Option(help="Folder of reports, one for each run.")] = Path("build/report"),
    site: Annotated[
        Path | None, typer.Option(help="A site.yaml: make the page with images that never leaves this site.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="The site's name, with --site.")] = None,
) -> None:
    """Write the report of a run or of federated statistics; with --site overlays and GIN samples of a site."""
    statistics = load_statistics(result)
    if statistics is not None:
        tell(f"Statistics: {write_statistics(statistics, report_folder(output, 'statistics', result.resolve().name))}")
        return
    if site is None:
        record = load_record(result)
        model = winner_file(record, result)
        html, facts = write_report(record, report_folder(output, record.job_name, record.job_id), model=model)
        console.print(summary_table(report_facts(record)))
        tell(f"Report: {html}\nFacts:  {facts}\n{model_line(result)}".rstrip())
        return
    if name is None:
        raise SettingsError("--site needs --name.", "Give the site's name, such as --name ct-a.")
    from flareseg.learning.trained import load_trained  # PyTorch, which the other reports do without

    path = find_model(result)
    trained, settings = load_trained(path), load_site(site)
    check_site_fits(settings, trained.task, site)
    with console.status("scoring"):
        page, _ = write_site_report(trained, settings, output, name=name, model_name=path.name, warn=tell)
    tell(f"Site report: {page}\nIt shows images: keep it at the site.")
