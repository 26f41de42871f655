"""The only registry there is: from a URL to the backend that its scheme names.

Each subsystem has one ``BackendRegistry`` that names its backends by string, so that none is
imported, with its driver, before its scheme is asked for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Generic, Protocol, TypeAlias, TypeVar, cast
from urllib.parse import SplitResult, urlsplit

from oxidite.errors import ConfigError, MissingExtraError, UnknownBackendError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoints

__all__ = ["BackendFactory", "BackendRegistry", "Builtin"]

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

Builtin: TypeAlias = tuple[str, str | None]
"""``("package.module:Class", extra)``: what to import, and what to install when that fails."""

_BARE_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*")


class BackendFactory(Protocol[T_co]):
    """Makes a backend from its URL; the ``from_url`` of a backend class is one.

    ``resources`` are those that were opened before, such as the ``Database`` that a ``db`` URL
    means. A backend with no use for them ignores them.
    """

    def __call__(self, url: SplitResult, *, resources: Sequence[object]) -> T_co:
        """Make a backend, not yet open."""
        ...


class _Backend(Protocol[T_co]):
    @property
    def from_url(self) -> BackendFactory[T_co]: ...


class BackendRegistry(Generic[T]):
    """The backends of one subsystem.

    A scheme is looked up among those registered, then the built-in ones, then the entry points of
    the group ``oxidite.<kind>``: installing a package adds schemes and never changes one. The
    target of an entry point is a class with ``from_url``.
    """

    def __init__(self, kind: str, builtin: Mapping[str, Builtin]) -> None:
        self.kind = kind
        self._builtin = dict(builtin)
        self._factories: dict[str, BackendFactory[T]] = {}

    def register(self, scheme: str, factory: BackendFactory[T]) -> None:
        """Let ``factory`` make the backends of ``scheme`` from now on, in this process."""
        self._factories[scheme.lower()] = factory

    def create(self, url: str, *, resources: Sequence[object] = ()) -> T:
        """Make the backend of ``url``, not yet open; a bare scheme such as ``db`` is a URL too.

        Raises:
            UnknownBackendError: no backend has that scheme.
            MissingExtraError: its driver is not installed; the message says what to install.
            ConfigError: the URL cannot be read, or the backend cannot be loaded.
        """
        parts = self._split(url)
        factory = self._factories.get(parts.scheme) or self._load(parts.scheme)
        return factory(parts, resources=resources)

    def schemes(self) -> tuple[str, ...]:
        """Return every scheme there is, sorted; nothing is imported."""
        installed = {point.name for point in _entry_points(self._group)}
        return tuple(sorted(installed | self._factories.keys() | self._builtin.keys()))

    @property
    def _group(self) -> str:
        return f"oxidite.{self.kind}"

    def _split(self, url: str) -> SplitResult:
        if _BARE_SCHEME.fullmatch(url):
            url = f"{url}://"
        try:
            parts = urlsplit(url)
        except ValueError:
            parts = SplitResult("", "", "", "", "")
        if not parts.scheme:
            # Neither the URL nor the parser's message: both may hold a password.
            known = ", ".join(f"{scheme}://" for scheme in self.schemes())
            raise ConfigError(
                f"The {self.kind} URL cannot be read. It begins with one of: {known}."
            ) from None
        return parts

    def _load(self, scheme: str) -> BackendFactory[T]:
        if scheme in self._builtin:
            backend = self._load_builtin(scheme, *self._builtin[scheme])
        else:
            backend = self._load_installed(scheme)
        # What a string names has no type before it is imported; the contract suite checks it.
        factory = cast("_Backend[T]", backend).from_url
        self.register(scheme, factory)
        return factory

    def _load_builtin(self, scheme: str, target: str, extra: str | None) -> object:
        module, _, name = target.partition(":")
        try:
            return getattr(import_module(module), name)
        except ModuleNotFoundError as exc:
            # One of ours that is missing is a mistake of ours: no installing mends it.
            ours = (exc.name or "oxidite").partition(".")[0] == "oxidite"
            if extra is None or ours:
                raise
            raise MissingExtraError(
                extra, needed_by=f"The {self.kind} backend {scheme}://"
            ) from exc

    def _load_installed(self, scheme: str) -> object:
        found = {point.value: point for point in _entry_points(self._group) if point.name == scheme}
        if not found:
            raise UnknownBackendError(self.kind, scheme, self.schemes())
        if len(found) > 1:
            raise ConfigError(
                f"Several installed packages offer the {self.kind} backend {scheme}://: "
                f"{', '.join(sorted(found))}. Uninstall all but one, or register the one you mean."
            )
        (point,) = found.values()
        try:
            backend: object = point.load()
        except (ImportError, AttributeError) as exc:
            raise ConfigError(
                f"The {self.kind} backend {scheme}:// cannot be loaded from {point.value}: {exc}"
            ) from exc
        return backend


def _entry_points(group: str) -> EntryPoints:
    # PERF: a tenth of the import of the whole core, and few ask; benchmark `start`.
    from importlib.metadata import entry_points

    return entry_points(group=group)
