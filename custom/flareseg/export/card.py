"""The model card: what the model is, how good it was where it was measured, and what somebody has to fill in."""

from __future__ import annotations

from typing import Any

from flareseg.export.bundle import scores
from flareseg.learning.trained import Trained
from flareseg.report.schema import ReportFacts

_FILL = "*To be filled in by whoever passes the model on.*"


def model_card(model: Trained, facts: ReportFacts | None) -> str:
    """Write the card in Markdown; sites are a number, never names."""
    task = model.task
    spacing = " x ".join("own" if value is None else f"{value:g}" for value in task.spacing)
    lines = [
        f"# {task.name}",
        "",
        "Research only. **Not a medical device.**",
        "",
        "| | |",
        "|---|---|",
        f"| Labels | {', '.join(f'{index} {label}' for index, label in enumerate(task.labels, 1))} |",
        f"| Modalities | {', '.join(task.modalities)} |",
        f"| Network | {task.network.describe()} |",
        f"| Works at | {spacing} mm, {'slice by slice' if task.spatial_dims == 2 else 'on volumes'} |",
        f"| Trained for | {model.about.get('rounds_done', '?')} rounds, flareseg {model.about.get('flareseg', '?')} |",
    ]
    if facts is not None:
        lines.append(f"| Sites | {len(facts.sites)} ({', '.join(sorted(set(facts.sites.values())))}) |")
    lines += ["", "## How good it is", ""]
    lines += _scores(facts) if facts is not None else ["Not known: exported from a model file without its result."]
    lines += ["", "## Limits", "", _limits(model), "", _FILL]
    for heading in ("Intended use", "Training data", "Licence", "Contact"):
        lines += ["", f"## {heading}", "", _FILL]
    return "\n".join(lines) + "\n"


def _scores(facts: ReportFacts) -> list[str]:
    lines = ["Mean Dice on held-out volumes of the sites that trained it.", ""]
    lines += ["| Modality | Volumes | Organs | Lesion |", "|---|---|---|---|"]
    found: dict[str, Any] = scores(facts)
    spread = found.pop("organs over sites", None)
    for name, row in found.items():
        lines.append(f"| {name} | {row['volumes']} | {_number(row['organs'])} | {_number(row['lesion'])} |")
    if spread is not None:
        lines += ["", f"Between sites, organs: {_number(spread['lowest'])} to {_number(spread['highest'])}."]
    return lines


def _limits(model: Trained) -> str:
    return (
        f"It was measured on the sites' own images alone. On other scanners, protocols and patients than theirs, "
        f"and on anything but {' and '.join(model.task.modalities)}, its quality is not known."
    )


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
