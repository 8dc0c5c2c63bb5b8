"""The page of federated statistics: what each site has, and where sites of one modality differ."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from flareseg.errors import SettingsError
from flareseg.report.figures import SITE_COLORS, Histogram, histogram_panel
from flareseg.report.page import render, write_text

PLACE = "flareseg/statistics.json"
GLOBAL = "Global"
DIFFERS = 0.3
"""Share of a site's histogram that would have to move to make it like the others of its modality."""

_DATASET = "all"


NOT_ANNOTATED = "not annotated"
SUPPRESSED = "suppressed"
"""On too few patients: the number stayed at the site."""
NONE_FOUND = "none found"


@dataclass(frozen=True)
class SiteFacts:
    """What one site reported of itself; None where it reported nothing.

    Attributes:
        name: the site.
        modality: of its images.
        patients: number of its patients.
        cases: number of its images.
        mean: for each label the mean volume of a patient's (ml), or pixels.
        voxels: for each label the number of voxels of all cases.
        components: lesions of a patient.
        why: for each label that it reported nothing of, why; under ``components`` for the lesions.
    """

    name: str
    modality: str
    patients: int | None
    cases: float | None
    mean: dict[str, float | None]
    voxels: dict[str, float | None]
    components: float | None
    why: dict[str, str]


@dataclass(frozen=True)
class Difference:
    """A site whose histogram of a subject is unlike those of the other sites of its modality, by the median share."""

    site: str
    modality: str
    subject: str
    share: float


class StatisticsReport:
    """The content of ``statistics.json`` as NVFlare's JsonStatsFileWriter writes it.

    Args:
        content: feature, statistic, site, data set, value.
    """

    def __init__(self, content: Mapping[str, Mapping[str, Mapping[str, Mapping[str, Any]]]]) -> None:
        self._content = content
        self.modalities = sorted({feature.split(" ", 1)[0] for feature in content})
        self.sites = {
            site: modality
            for modality in self.modalities
            for site in sorted(self._by_site(modality, "cases", "count"))
            if site != GLOBAL
        }

    def value(self, site: str, modality: str, subject: str, statistic: str) -> Any:
        """One number or histogram, None where the site kept it."""
        return self._by_site(modality, subject, statistic).get(site, {}).get(_DATASET)

    def subjects(self) -> list[str]:
        """All subjects, such as ``liver ml``, without the modality."""
        return sorted({feature.split(" ", 1)[1] for feature in self._content})

    def labels(self) -> list[str]:
        """Labels that any site has annotated."""
        return [subject.removesuffix(" voxels") for subject in self.subjects() if subject.endswith(" voxels")]

    def histograms(self, modality: str, subject: str) -> dict[str, np.ndarray]:
        """Each site's histogram: (bins, 3) of low, high and count."""
        found = {site: self.value(site, modality, subject, "histogram") for site in self.sites}
        return {site: np.array(bins, dtype=float) for site, bins in found.items() if bins}

    def facts(self, site: str) -> SiteFacts:
        """The numbers of one site."""
        modality = self.sites[site]
        size = "voxels" if modality == "RGB" else "ml"
        return SiteFacts(
            site,
            modality,
            self.value(site, modality, "cases", "count"),
            self.value(site, modality, "cases", "sum"),
            {label: self.value(site, modality, f"{label} {size}", "mean") for label in self.labels()},
            {label: self.value(site, modality, f"{label} voxels", "sum") for label in self.labels()},
            self.value(site, modality, "components", "mean"),
            {
                **{label: self.why_untold(site, modality, f"{label} {size}") for label in self.labels()},
                "components": self.why_untold(site, modality, "components"),
            },
        )

    def why_untold(self, site: str, modality: str, subject: str) -> str:
        """Say why a site that is shown reported nothing of a subject.

        Number and voxels of a label are counted for every patient of a site that has annotated it. So a site whose
        patients are enough to be shown tells them, or it has not annotated the label; a histogram, and sizes of lesions
        that only some patients have, may rest on fewer.
        """
        if subject == "intensity":
            return SUPPRESSED
        lesions = subject.startswith("component")
        counted = "components" if lesions else f"{subject.rpartition(' ')[0]} voxels"
        total = self.value(site, modality, counted, "sum")
        if total is None:
            total = self.value(site, modality, counted, "mean")
        if total is None:
            return NOT_ANNOTATED
        return NONE_FOUND if lesions and not total else SUPPRESSED

    def differences(self) -> list[Difference]:
        """Where a site is unlike the others of its modality, the largest first."""
        found = []
        for modality in self.modalities:
            for subject in self.subjects():
                histograms = self.histograms(modality, subject)
                for site, own in histograms.items():
                    others = [_distance(own, bins) for other, bins in histograms.items() if other != site]
                    if others:
                        # The lower median: one odd site makes itself conspicuous, not all the others.
                        share = float(np.quantile(others, 0.5, method="lower"))
                        found.append(Difference(site, modality, subject, share))
        return sorted(
            (item for item in found if item.share >= DIFFERS), key=lambda item: (-item.share, item.site, item.subject)
        )

    def _by_site(self, modality: str, subject: str, statistic: str) -> Mapping[str, Mapping[str, Any]]:
        return self._content.get(f"{modality} {subject}", {}).get(statistic, {})


def load_statistics(result: Path) -> StatisticsReport | None:
    """Read the statistics in a job's result; None where the result holds none.

    Raises:
        SettingsError: the file is damaged.
    """
    found = sorted(result.rglob(PLACE)) if result.is_dir() else []
    if not found:
        return None
    try:
        content = json.loads(found[0].read_text(encoding="utf-8"))
        return StatisticsReport(content)
    except (OSError, ValueError, AttributeError) as error:
        raise SettingsError(
            f"{found[0]}: expected statistics of NVFlare, found {type(error).__name__}.", "Download the result again."
        ) from None


def write_statistics(statistics: StatisticsReport, folder: Path) -> Path:
    """Write ``statistics.html``."""
    colors = {site: SITE_COLORS[index % len(SITE_COLORS)] for index, site in enumerate(statistics.sites)}
    groups = [(modality, _panels(statistics, modality, colors)) for modality in statistics.modalities]
    page = folder / "statistics.html"
    text = render(
        "statistics.html.j2",
        sites=[statistics.facts(site) for site in statistics.sites],
        labels=statistics.labels(),
        groups=[(modality, panels) for modality, panels in groups if panels],
        colors=colors,
        differences=statistics.differences(),
        compared=any(list(statistics.sites.values()).count(modality) > 1 for modality in statistics.modalities),
        share=DIFFERS,
    )
    write_text(page, text)
    return page


def _panels(statistics: StatisticsReport, modality: str, colors: Mapping[str, str]) -> list[tuple[Any, str]]:
    """Each figure with why sites of the modality are not in it; no figure where no site is."""
    panels: list[tuple[Any, str]] = []
    for subject, title, x_label, y_label in _subjects(statistics, modality):
        histograms = statistics.histograms(modality, subject)
        untold: dict[str, list[str]] = {}
        for site, its_modality in statistics.sites.items():
            if its_modality == modality and site not in histograms:
                untold.setdefault(statistics.why_untold(site, modality, subject), []).append(site)
        note = "; ".join(f"{why}: {', '.join(several)}" for why, several in sorted(untold.items()))
        if not histograms and SUPPRESSED in untold:
            panels.append((None, f"{title}. {note}"))
        elif histograms:
            shares = [
                Histogram(site, colors[site], [*bins[:, 0], bins[-1, 1]], _shares(bins[:, 2]))
                for site, bins in histograms.items()
            ]
            key = f"{modality}-{subject}".replace(" ", "-")
            panels.append((histogram_panel(title, shares, key=key, x_label=x_label, y_label=y_label), note))
    return panels


def _subjects(statistics: StatisticsReport, modality: str) -> Sequence[tuple[str, str, str, str]]:
    unit = {"CT": "HU", "MR": "raw value", "RGB": "0 to 255"}[modality]
    size = "px" if modality == "RGB" else "mm"
    sizes = (
        [(f"{label} voxels", f"{label.capitalize()}: size", "pixels", "% of cases") for label in statistics.labels()]
        if modality == "RGB"
        else [(f"{label} ml", f"{label.capitalize()}: volume", "ml", "% of cases") for label in statistics.labels()]
    )
    return [
        ("intensity", "Intensities", unit, "% of voxels"),
        (f"component {size}", "Sizes of lesions", f"diameter, {size}", "% of lesions"),
        *sizes,
    ]


def _shares(counts: np.ndarray) -> list[float]:
    total = float(counts.sum())
    return (100 * counts / total if total else counts).tolist()


def _distance(own: np.ndarray, others: np.ndarray) -> float:
    """Total variation distance of two histograms (bins, 3) on the same bins, in [0, 1]."""
    one, other = own[:, 2], others[:, 2]
    if one.shape != other.shape or not one.sum() or not other.sum():
        return 0.0
    return float(np.abs(one / one.sum() - other / other.sum()).sum() / 2)
