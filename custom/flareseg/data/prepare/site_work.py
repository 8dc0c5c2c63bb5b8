"""What is made for one site: its converted cases, and the values that stand for its organs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from flareseg.data.datalist import Case
from flareseg.data.lesion_size import lesion_size
from flareseg.data.prepare.convert import CONVERT_VERSION, Converted, convert, source_files
from flareseg.data.prepare.label_map import Group, LabelMap, Meaning, Values, lesion_values
from flareseg.data.prepare.layouts.source import SourceCase
from flareseg.data.prepare.order import Order
from flareseg.data.prepare.organ_masks import OrganValues
from flareseg.data.prepare.progress_file import Made, state_of
from flareseg.data.prepare.write_site import PreparedCase


class SiteWork:
    """Converts and measures the cases of a site, one after the other.

    Args:
        organs: the values of each organ that was annotated there.
        labels: the values of each label.
        folder: where converted files go.
        made: what was made before.
        order: what the user wants.
    """

    def __init__(self, organs: Values, labels: LabelMap, folder: Path, made: Made, order: Order) -> None:
        self._organs = organs
        self._labels = labels
        self._folder = folder
        self._made = made
        self._task = order.task
        wanted = {value for values in labels.values() for value in values or ()}
        single = {organ: values[0] for organ, values in organs.items() if wanted.intersection(values)}
        part_of = {
            organ: frozenset(name for name, values in labels.items() if value in (values or ()))
            for organ, value in single.items()
        }
        said = [(organ, value, sorted(part_of[organ])) for organ, value in single.items()]
        self._state = state_of((), said)
        kept = made.get(f"shared {folder.name}", self._state) or []
        self._values = OrganValues(single, part_of, {tuple(names): value for names, value in kept})
        self._converted: dict[str, Converted] = {}

    def prepare(self, case: SourceCase) -> PreparedCase:
        """Convert what is due, and measure the largest lesion.

        Raises:
            DataError: the case cannot be used.
        """
        image, label = case.image, case.label
        if not isinstance(image, Path) or image.is_dir():
            image = self._folder / "images" / f"{case.name}.nii.gz"
        if not isinstance(label, Path):
            label = self._folder / "labels" / f"{case.name}.nii.gz"
            self._converted[case.name] = self._convert(case, image, label)
        return self._measured(PreparedCase(case.name, case.patient, case.site, case.modality, image, label))

    def meaning(self) -> Meaning:
        """What the values stand for, once all cases are prepared."""
        shared: dict[Group, dict[str, int]] = {}
        for name, result in self._converted.items():
            for group in self._own_values(result.shared):
                shared.setdefault(group, {})[name] = result.shared[group]
        groups = {" and ".join(group): (self._values.shared[group],) for group in shared}
        return Meaning(
            {name: values and self._with_shared(values, shared) for name, values in self._labels.items()},
            {**self._organs, **groups},
            shared,
            tuple(name for name, result in self._converted.items() if result.empty),
        )

    def _convert(self, case: SourceCase, image: Path, label: Path) -> Converted:
        state = state_of(source_files(case, self._values.single), CONVERT_VERSION, self._state)
        done = self._made.get(f"convert {case.name}", state)
        if done and label.is_file() and image.is_file():
            return Converted.from_json(done)
        result = convert(case, self._values, image, label)
        self._made.put(f"shared {self._folder.name}", self._state, [list(item) for item in self._values.shared.items()])
        self._made.put(f"convert {case.name}", state, result.as_json())
        return result

    def _measured(self, case: PreparedCase) -> PreparedCase:
        groups = self._converted[case.name].shared if case.name in self._converted else {}
        organs = {name: self._with_shared(values, groups) for name, values in self._organs.items()}
        labels = {name: values and self._with_shared(values, groups) for name, values in self._labels.items()}
        lesions = lesion_values(organs, labels, self._task)
        if not lesions:
            return case
        state = state_of([case.label], lesions)
        size = self._made.get(f"lesion {case.name}", state)
        if size is None:
            size = lesion_size(Case(case.name, case.image, case.label), lesions)
            self._made.put(f"lesion {case.name}", state, size)
        return replace(case, lesion=float(size))

    def _own_values(self, groups: Iterable[Group]) -> list[Group]:
        """The groups whose voxels have a value of their own."""
        return [group for group in groups if group in self._values.shared]

    def _with_shared(self, values: tuple[int, ...], groups: Iterable[Group]) -> tuple[int, ...]:
        """Values of organs, with those of the voxels that the organs share with others."""
        more = [
            self._values.shared[group]
            for group in self._own_values(groups)
            if any(self._values.single[organ] in values for organ in group)
        ]
        return (*values, *sorted(more)) if more else values
