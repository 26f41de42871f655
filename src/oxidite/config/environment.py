"""Where the program runs: the one place that looks into the process's environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Literal, TypeAlias, get_args

from oxidite.errors import ConfigError

Environment: TypeAlias = Literal["development", "production", "test"]

VARIABLE = "OXIDITE_ENV"


def process_environment() -> Mapping[str, str]:
    """Return the environment of this process, live and not to be changed."""
    return os.environ


def environment(
    *, default: Environment = "production", environ: Mapping[str, str] | None = None
) -> Environment:
    """Tell whether this is development, production or test: ``OXIDITE_ENV``, else ``default``.

    It is read from the real environment only: ``.env`` is itself read only in development.

    Raises:
        ConfigError: the variable holds another word.
    """
    said = (process_environment() if environ is None else environ).get(VARIABLE, "") or default
    for known in _ENVIRONMENTS:
        if said == known:
            return known
    raise ConfigError(f"{VARIABLE} is {said!r}. It is one of: {', '.join(_ENVIRONMENTS)}.")


_ENVIRONMENTS: tuple[Environment, ...] = get_args(Environment)
