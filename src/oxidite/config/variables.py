"""``env``: one variable of the environment, with a type."""

from __future__ import annotations

from datetime import timedelta
from enum import Enum
from pathlib import Path
from typing import Final, TypeVar, overload

from oxidite.config.convert import convert
from oxidite.config.display import shown
from oxidite.config.problems import SettingsError
from oxidite.config.scalars import MisfitError, Text
from oxidite.config.secret import Secret
from oxidite.config.shape import holds_secret
from oxidite.config.sources import SourceError, read_variables
from oxidite.errors import ConfigError

T = TypeVar("T")

_REQUIRED: Final = object()
_SCALARS = (bool, int, float, str, Path, timedelta)


@overload
def env(name: str) -> str: ...
@overload
def env(name: str, default: None) -> str | None: ...
@overload
def env(name: str, default: T) -> T: ...
@overload
def env(name: str, *, type: type[T]) -> T: ...
@overload
def env(name: str, default: None, *, type: type[T]) -> T | None: ...
@overload
def env(name: str, default: T, *, type: type[T]) -> T: ...
def env(name: str, default: object = _REQUIRED, *, type: object = None) -> object:
    """Return the environment variable ``name``, as the type of ``default`` or as ``type``.

    ::

        env("DATABASE_URL", "sqlite:///app.db")
        env("WORKERS", 2)
        env("HOSTS", type=list[str])            # comma separated, or JSON
        env("SECRET_KEY", type=Secret[str])

    An empty variable is an empty text; where ``default`` is ``None`` it is ``None``. The file that
    ``<name>_FILE`` names wins over the variable; in development ``.env`` is asked
    after the environment.

    Raises:
        ConfigError: it is not set and there is no default, or it does not fit the type.
    """
    kind = _kind_of(name, default) if type is None else type
    try:
        found = read_variables(None, None).find(name)
    except SourceError as exc:
        raise SettingsError(exc.problems) from None
    if found is None:
        if default is _REQUIRED:
            raise ConfigError(f"{name} is not set. Set it, or name a file in {name}_FILE.")
        return default
    if default is None and not found.value.strip():
        return None
    try:
        return convert(Text(found.value), kind)
    except MisfitError as exc:
        misfit = exc.misfits[0]
        got = "" if holds_secret(name, kind) else f", got {shown(misfit.value)}"
        raise ConfigError(f"{name} does not fit: {misfit.message}{got} [{found.origin}].") from None


def _kind_of(name: str, default: object) -> object:
    if default is _REQUIRED or default is None:
        return str
    if isinstance(default, Secret):
        return Secret[str]
    if isinstance(default, Path):
        return Path  # the class of a path depends on the machine
    if isinstance(default, Enum) or type(default) in _SCALARS:
        return type(default)
    raise ConfigError(f"env({name!r}) needs type=: {type(default).__name__} does not say of what.")
