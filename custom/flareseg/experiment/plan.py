"""``experiments/NAME.yaml``: the question, the arms, the data and the seeds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, NamedTuple

from pydantic import Field, model_validator

from flareseg.config.settings import Settings, load_settings
from flareseg.data.phantom import PhantomModality, PhantomSite
from flareseg.data.phantom.lesions import ALL_SIZES, LesionPlan

ShortName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]


class EmbeddedLesions(Settings):
    """Lesions of each patient of a site, see :class:`flareseg.data.phantom.lesions.LesionPlan`."""

    count: tuple[int, int] = ALL_SIZES.count
    """Fewest and most."""
    diameter: tuple[float, float] = ALL_SIZES.diameter
    """Smallest and largest in mm."""


class EmbeddedSite(Settings):
    """A site of the embedded data: modality, numbers of cases, lesions."""

    modality: PhantomModality
    training: Annotated[int, Field(ge=1)]
    validation: Annotated[int, Field(ge=1)]
    testing: Annotated[int, Field(ge=0)]
    lesions: EmbeddedLesions = EmbeddedLesions()

    def phantom(self, name: str) -> PhantomSite:
        """The site as it is made."""
        counts = self.model_dump(exclude={"lesions"})
        return PhantomSite(name=name, **counts, lesions=LesionPlan(**self.lesions.model_dump()))


class DataSet(Settings):
    """What the arms are trained on: either embedded sites or a folder."""

    embedded: dict[str, EmbeddedSite] = Field(default_factory=dict)
    """Sites of the embedded data, by name."""
    folder: Path | None = None
    """Folder with ``<site>/site.yaml``; a relative path is taken from where the command runs."""

    @model_validator(mode="after")
    def _one_way(self) -> DataSet:
        if bool(self.embedded) == (self.folder is not None):
            raise ValueError("give either embedded sites or a folder")
        self.phantom_sites()
        return self

    def phantom_sites(self) -> list[PhantomSite]:
        """The embedded sites as they are made."""
        return [site.phantom(name) for name, site in self.embedded.items()]


class ArmSettings(Settings):
    """What is compared: settings of the task, and who trains."""

    set: tuple[str, ...] = ()
    """Changes of the task beside the experiment's, as ``KEY=VALUE``."""
    train: tuple[str, ...] | None = None
    """Sites that train; all where not given. Every site is tested."""
    pooled: bool = False
    """Whether they train as one place with all their data."""


class Cell(NamedTuple):
    """One run."""

    data: str
    arm: str
    seed: int

    @property
    def file(self) -> str:
        """Name of its result."""
        return f"{self.data}.{self.arm}.{self.seed}.json"


class Experiment(Settings):
    """A question and the runs that answer it."""

    name: ShortName
    """Name of the experiment and of its folder of results."""
    question: str
    """What is asked, in a sentence."""
    job: str = "fedavg"
    """Job that every arm starts from: a folder, or a name that ``flareseg job list`` shows."""
    set: tuple[str, ...] = ()
    """Changes of its task for every arm, as ``KEY=VALUE``."""
    data: Annotated[dict[ShortName, DataSet], Field(min_length=1)]
    """Data sets by name."""
    arms: Annotated[dict[ShortName, ArmSettings], Field(min_length=1)]
    """What is compared, by name."""
    differences: tuple[tuple[str, str], ...] = ()
    """Pairs of arms, the second to be taken from the first."""
    seeds: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1)] = (0, 1, 2)
    """Seeds of weights and draws."""

    @model_validator(mode="after")
    def _known_arms(self) -> Experiment:
        unknown = sorted({name for pair in self.differences for name in pair} - set(self.arms))
        if unknown:
            raise ValueError(f"differences should name arms, {', '.join(unknown)} are not")
        return self

    def cells(self) -> list[Cell]:
        """Every run, seed by seed, so that an experiment that is cut short has compared all arms."""
        return [Cell(data, arm, seed) for seed in self.seeds for data in self.data for arm in self.arms]


def load_experiment(path: Path) -> Experiment:
    """Read and check an experiment.

    Raises:
        SettingsError: naming the file, the key, what was expected and what was found.
    """
    return load_settings(Experiment, path)
