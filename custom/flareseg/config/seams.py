"""Parts that a task chooses by name: those of this package, and those of installed packages that were allowed here.

An installed package offers a part by an entry point. It counts only in a process that has allowed its name, see
:func:`allow_extensions`: a server and a site by their own ``local/extensions.yaml``, a person at the command line by
``flareseg --extension``. Nothing is imported before that, and nothing in a job can allow a name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any, ClassVar

from flareseg.config.settings import Settings
from flareseg.errors import SettingsError

_allowed: frozenset[str] = frozenset()


def allow_extensions(names: Iterable[str]) -> None:
    """Let tasks in this process name these parts of installed packages, and no others.

    Args:
        names: names of entry points, as ``task.yaml`` has them.

    Example:
        >>> allow_extensions(["thin"])
        >>> allowed_extensions()
        frozenset({'thin'})
        >>> allow_extensions([])
    """
    global _allowed
    _allowed = frozenset(names)


def allowed_extensions() -> frozenset[str]:
    """The names that tasks may use beside those of this package."""
    return _allowed


class Choice(Settings):
    """Base of the parts: a name, and the settings that this part has and no other."""

    renamed: ClassVar[Mapping[str, str]] = {}
    """Keys of earlier versions, each with what stands in its place."""

    name: str
    """Which one it is."""

    def describe(self) -> str:
        """The name with every setting.

        >>> from flareseg.networks.segresnet import SegResNet
        >>> SegResNet(channels=(8, 16)).describe()
        'segresnet (channels 8, 16; dropout 0)'
        """
        settings = "; ".join(f"{key} {_plain(value)}" for key, value in self if key != "name")
        return f"{self.name} ({settings})" if settings else self.name


def _plain(value: object) -> str:
    if isinstance(value, Choice):
        return value.describe()
    if isinstance(value, tuple | list):
        return ", ".join(map(_plain, value))
    if value is None or isinstance(value, bool):
        return {None: "none", True: "yes", False: "no"}[value]
    return f"{value:g}" if isinstance(value, float) else str(value)


@dataclass(frozen=True)
class Seam:
    """One kind of part.

    Attributes:
        kind: what it is, in the singular.
        own: the parts of this package: name to ``module:attribute``, imported when they are asked for.
        group: entry points by which installed packages offer more; None where the list is closed.
        default: the name where a task gives none.
    """

    kind: str
    own: Mapping[str, str]
    group: str | None = None
    default: str | None = None

    def names(self) -> list[str]:
        """The names that can be used in this process."""
        return [*self.own, *sorted(name for name in self._installed() if name in _allowed)]

    def load(self, name: str) -> Any:
        """Import a part.

        Raises:
            SettingsError: the name is unknown, not allowed here, or cannot be imported.
        """
        if name in self.own:
            module, _, attribute = self.own[name].partition(":")
            return getattr(import_module(module), attribute)
        found = self._installed().get(name, [])
        if not found:
            raise SettingsError(
                f"There is no {self.kind} {name!r}; there are {', '.join(self.names())}.",
                f"Choose one of these, or install the package that offers {name!r} here.",
            )
        packages = " and ".join(sorted({point.dist.name if point.dist else point.value for point in found}))
        if name not in _allowed:
            raise SettingsError(
                f"The {self.kind} {name!r} is an extension, of {packages}, that is not allowed here.",
                "A server or site lists it in local/extensions.yaml; at the command line: flareseg --extension NAME.",
            )
        if len(found) > 1:
            raise SettingsError(f"The {self.kind} {name!r} is offered twice, by {packages}.", "Uninstall one of them.")
        try:
            return found[0].load()
        except Exception as error:  # code of another package: whatever it raises, the package is named
            raise SettingsError(
                f"The {self.kind} {name!r} of {packages} cannot be imported ({type(error).__name__}: {error}).",
                f"Mend or reinstall {packages}.",
            ) from error

    def read(self, value: object) -> object:
        """Validate one part of a settings file; a name alone stands for ``{name: NAME}``.

        Raises:
            ValueError: the name is unknown here, or has no such key.
        """
        if isinstance(value, Choice):
            return value
        content = {"name": value} if isinstance(value, str) else value
        if not isinstance(content, Mapping):
            raise ValueError(f"should be the name of a {self.kind}, or a mapping with its name and settings")
        name = content.get("name", self.default)
        if not isinstance(name, str):
            raise ValueError(f"should have a name, one of {', '.join(self.names())}")
        try:
            kind = self.load(name)
        except SettingsError as error:
            raise ValueError(f"{error.message.rstrip('.')} ({error.remedy.rstrip('.')})") from None
        unknown = [str(key) for key in content if key not in kind.model_fields]
        for key in unknown:
            if key in kind.renamed:
                raise ValueError(f"{key} is now {kind.renamed[key]}")
        if unknown:
            keys = ", ".join(key for key in kind.model_fields if key != "name") or "no settings"
            raise ValueError(f"{name} has no {', '.join(unknown)}; it has {keys}")
        part: Choice = kind.model_validate({**content, "name": name})
        return part

    def _installed(self) -> dict[str, list[EntryPoint]]:
        """Entry points by name; a package that is found twice on the path counts once."""
        points: dict[str, dict[tuple[str, str], EntryPoint]] = {}
        for point in entry_points(group=self.group) if self.group else ():
            if point.name not in self.own:
                package = point.dist.name if point.dist else ""
                points.setdefault(point.name, {}).setdefault((package, point.value), point)
        return {name: list(several.values()) for name, several in points.items()}
