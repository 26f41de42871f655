"""``load``: a settings class filled from every source, or every reason why not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar, cast

from oxidite.config.convert import REQUIRED, fill
from oxidite.config.display import shown
from oxidite.config.gather import FieldPath, Given, Wanted, gather, strangers
from oxidite.config.problems import Problem, SettingsError
from oxidite.config.scalars import UNSHOWN, Misfit, MisfitError
from oxidite.config.secret import MASK
from oxidite.config.shape import leaves
from oxidite.config.sources import DEFAULT, FILE_SUFFIX, Dotenv, Origin

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Row:
    """One setting as ``oxidite config show`` prints it; a secret is masked."""

    name: str
    value: str
    origin: Origin


@dataclass(frozen=True, slots=True)
class Loaded(Generic[T]):
    """Settings, and where each value came from, by dotted name (``"cache.ttl"``)."""

    settings: T
    origins: Mapping[str, Origin]

    def rows(self) -> Iterator[Row]:
        """Yield every setting in the order of the class, groups spelt out."""
        seen: set[str] = set()
        for leaf in leaves(type(self.settings)):
            path, value = _look_up(self.settings, leaf.path)
            name = ".".join(path)
            if name not in seen:  # a group that is None has many leaves and one row
                seen.add(name)
                text = MASK if leaf.is_secret and value is not None else shown(value)
                yield Row(name, text, self.origins.get(name, DEFAULT))


def load(
    cls: type[T],
    *,
    prefix: str = "",
    file: str | Path | None = None,
    table: str | None = None,
    dotenv: Dotenv = None,
    environ: Mapping[str, str] | None = None,
    ignore: Iterable[str] = (),
) -> T:
    """Return a ``cls``, a dataclass or ``Struct``, filled from defaults, files and environment.

    ``file`` is a TOML file that must exist, ``table`` the part of it that is meant, such as
    ``"tool.shop"`` of ``pyproject.toml``. The variable of ``cache.ttl`` is ``prefix`` and
    ``CACHE__TTL``. ``dotenv`` is a file, ``True`` for ``.env`` or ``False``; by default ``.env`` is
    read in development. ``ignore`` are patterns of variables (``"APP_CI_*"``) that begin with
    ``prefix`` and belong to somebody else; any other that is no setting is a problem.

    Raises:
        SettingsError: something is wrong; it says everything that is.
        ConfigError: ``cls`` cannot be a settings class.
    """
    return load_with_origins(
        cls,
        prefix=prefix,
        file=file,
        table=table,
        dotenv=dotenv,
        environ=environ,
        ignore=ignore,
    ).settings


def load_with_origins(
    cls: type[T],
    *,
    prefix: str = "",
    file: str | Path | None = None,
    table: str | None = None,
    dotenv: Dotenv = None,
    environ: Mapping[str, str] | None = None,
    ignore: Iterable[str] = (),
) -> Loaded[T]:
    """Return what ``load`` returns, and where each value came from."""
    wanted = Wanted.of(cls, prefix)
    given = gather(wanted, file, table, dotenv, environ)
    problems = list(strangers(given.variables, wanted, tuple(ignore)))
    try:
        settings = fill(cls, given.tree)
    except MisfitError as exc:
        found = [_problem(misfit, cls, wanted, given) for misfit in exc.misfits]
        raise SettingsError([*found, *problems]) from None
    if problems:
        raise SettingsError(problems)
    return Loaded(settings, {".".join(path): origin for path, origin in given.origins.items()})


def _look_up(settings: object, path: FieldPath) -> tuple[FieldPath, object]:
    """Return the value at ``path``, or the group on the way to it that is ``None``."""
    value = settings
    for place, name in enumerate(path):
        if value is None:
            return path[:place], None
        value = cast("object", getattr(value, name))
    return path, value


def _problem(misfit: Misfit, cls: type[object], wanted: Wanted, given: Given) -> Problem:
    subject = ".".join(misfit.path) or cls.__name__
    if misfit.message == REQUIRED and misfit.path in wanted.names:
        return Problem(subject, _how_to_set(subject, wanted.names[misfit.path], given.table.file))
    message = misfit.message
    if misfit.value is not UNSHOWN and not wanted.hides(misfit.path):
        message += f", got {shown(misfit.value)}"
    return Problem(subject, message, given.origin(misfit.path))


def _how_to_set(subject: str, name: str, file: str) -> str:
    places = [name, f"{name}{FILE_SUFFIX}", *([f"{subject} in {file}"] if file else [])]
    return f"{REQUIRED}: set {', '.join(places[:-1])} or {places[-1]}"
