"""The facts of a run, worked out from its record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from statistics import median

from flareseg.config.task import Task
from flareseg.config.words import (
    describe_aggregation,
    describe_augmentation,
    describe_fedgs,
    describe_network,
    describe_optimisation,
    describe_training,
)
from flareseg.record.messages import ScoresMessage
from flareseg.record.run import RoundRecord, RunRecord
from flareseg.record.warnings import warnings_of
from flareseg.report.participation import Shortfall, all_sites, participation_of, shortfalls, subset_reason
from flareseg.report.privacy_words import privacy_in_words
from flareseg.report.record_file import load_record, task_of
from flareseg.report.schema import (
    ModelFacts,
    ReportFacts,
    RoundFacts,
    ScorePoint,
    SiteCurves,
    TrainingPoint,
    WorstSite,
)
from flareseg.report.scores import ScoreRow, score_row

__all__ = ["ReportFacts", "load_record", "report_facts"]

_UNKNOWN = "unknown"


def report_facts(record: RunRecord) -> ReportFacts:
    """Work out the facts of a run.

    Means of a modality are over its volumes: a label's means of several sites are weighted by their volumes. The mean
    over organs is then unweighted. A record that still says running was never finished, so the run failed.

    Raises:
        SettingsError: the record holds a task that this version cannot read.
    """
    task = task_of(record)
    names = sorted({*all_sites(record.rounds), *record.modalities, *record.evaluation.testing})
    sites = {name: str(record.modalities.get(name, _UNKNOWN)) for name in names}
    missing = shortfalls(record.rounds, record.evaluation)
    by_modality, by_site = _test_scores(record.evaluation.testing, sites, task)
    rounds = [_round(item, names) for item in record.rounds]
    overhead = [item.overhead_seconds for item in rounds if item.overhead_seconds is not None]
    models = _models(record)
    worst = min(((row.organs, row.name) for row in by_site if row.organs is not None), default=None)
    return ReportFacts(
        status="failed" if record.status == "running" else record.status,
        reason=_reason(record, missing),
        warnings=warnings_of(record),
        job_id=record.job_id,
        resumed_from=record.resumed_from,
        job_name=record.job_name,
        dice={row.name: row.organs for row in by_modality},
        lesion_dice={row.name: row.lesion.dice for row in by_modality},
        small_dice={row.name: row.small.dice for row in by_modality},
        large_dice={row.name: row.large.dice for row in by_modality},
        worst_site=WorstSite(site=worst[1], dice=worst[0]) if worst else None,
        round_overhead_seconds=median(overhead) if overhead else None,
        winner=record.evaluation.winner,
        choice=_choice(models),
        task_name=task.name,
        labels=list(task.labels),
        organs=list(task.organs),
        lesion=task.lesion.label if task.lesion else None,
        small_bound=f"{task.lesion.small:g} {task.lesion.unit}" if task.lesion else None,
        sites=sites,
        test_by_modality=by_modality,
        test_by_site=by_site,
        models=models,
        rounds_planned=task.training.rounds,
        rounds=rounds,
        curves={site: _curves(site, record) for site in names},
        shortfalls=missing,
        min_clients=record.min_clients,
        started=datetime.fromtimestamp(record.started, timezone.utc).isoformat(timespec="seconds"),
        seconds=record.finished - record.started if record.finished else sum(item.seconds for item in rounds),
        bytes_sent=sum(item.bytes_sent for item in rounds),
        bytes_received=sum(item.bytes_received for item in rounds),
        seed=task.training.seed,
        versions=record.versions,
        task_digest=record.task_digest,
        settings={
            "Augmentation": describe_augmentation(task),
            "FedGS": describe_fedgs(task),
            "Training": describe_training(task),
            "Network": describe_network(task),
            "Optimisation": describe_optimisation(task),
            "Aggregation": describe_aggregation(task, record.min_clients),
            "Privacy": privacy_in_words(record.rounds),
        },
        task=record.task,
    )


def _reason(record: RunRecord, missing: Sequence[Shortfall]) -> str:
    if record.status == "running":
        done = sum(1 for item in record.rounds if item.seconds)
        return record.reason or (
            f"The run was never finished: its record ends after {done} of {record.task['training']['rounds']} rounds "
            "and still says running."
        )
    early = f"The training {record.ended_early}." if record.ended_early else ""
    return record.reason or ("" if record.status == "complete" else f"{early} {subset_reason(missing)}".strip())


def _test_scores(
    testing: Mapping[str, ScoresMessage], sites: Mapping[str, str], task: Task
) -> tuple[list[ScoreRow], list[ScoreRow]]:
    by_site = [score_row(site, sites[site], [testing[site]], task) for site in sorted(testing)]
    by_modality = [
        score_row(modality, modality, [testing[site] for site in sorted(testing) if sites[site] == modality], task)
        for modality in sorted(set(sites.values()))
        if modality != _UNKNOWN or any(sites[site] == _UNKNOWN for site in testing)
    ]
    return by_modality, by_site


def _round(item: RoundRecord, names: Sequence[str]) -> RoundFacts:
    content = item.model_dump(include={"round", "expected", "accepted", "refused", "late", "absent", "seconds"})
    return RoundFacts(
        **content,
        failed={site: str(error) for site, error in item.failed.items()},
        states={site: participation_of(item, site) for site in names},
        closed=item.seconds > 0,
        executor_seconds=max((report.seconds for report in item.sites.values()), default=None),
        overhead_seconds=item.overhead_seconds,
        bytes_sent=item.bytes_sent,
        bytes_received=item.bytes_received,
    )


def _models(record: RunRecord) -> list[ModelFacts]:
    models = []
    for name in sorted({*record.models, *record.evaluation.validation}):
        note, scores = record.models.get(name), record.evaluation.validation.get(name, {})
        means = {site: scores[site].mean for site in sorted(scores)}
        known = [value for value in means.values() if value is not None]
        models.append(
            ModelFacts(
                name=name,
                rounds_done=note.rounds_done if note else None,
                score=note.score if note else None,
                validation=means,
                mean=sum(known) / len(known) if known else None,
                winner=name == record.evaluation.winner,
            )
        )
    return models


def _choice(models: Sequence[ModelFacts]) -> str:
    """Why the winner won."""
    winner = next((model for model in models if model.winner), None)
    if winner is None or winner.mean is None:
        return ""
    others = [f"{model.name} has {model.mean:.3f}" for model in models if not model.winner and model.mean is not None]
    if not others:
        return f"{winner.name} is the only model that every site scored."
    return (
        f"{winner.name} has the highest mean over the sites of the validation Dice, {winner.mean:.3f}: "
        f"{', '.join(others)}. The test sets had no say in it."
    )


def _curves(site: str, record: RunRecord) -> SiteCurves:
    scored = [(item.round, item.sites[site].scores) for item in record.rounds if site in item.sites]
    last = record.models.get("last")
    if last is not None:
        scored.append((last.rounds_done, record.evaluation.validation.get("last", {}).get(site)))
    return SiteCurves(
        scores=[
            ScorePoint(
                rounds_done=rounds_done,
                dice={label: score.mean for label, score in scores.dice.items()},
                small=scores.small.mean,
                large=scores.large.mean,
                loss=scores.loss,
            )
            for rounds_done, scores in scored
            if scores is not None
        ],
        training=[
            TrainingPoint(round=item.round, loss=item.sites[site].loss, mean_scale=item.sites[site].mean_scale)
            for item in record.rounds
            if site in item.sites
        ],
    )
