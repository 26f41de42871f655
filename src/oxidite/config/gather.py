"""Lays the sources over each other: the file, below the variables that the settings class names."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TypeAlias

from oxidite.config.environment import VARIABLE
from oxidite.config.problems import Problem, SettingsError, did_you_mean
from oxidite.config.scalars import Text
from oxidite.config.shape import SECRET_NAME, Leaf, leaves
from oxidite.config.sources import (
    FILE_SUFFIX,
    Dotenv,
    Origin,
    SourceError,
    Table,
    Variable,
    Variables,
    read_table,
    read_variables,
)
from oxidite.errors import ConfigError

FieldPath: TypeAlias = tuple[str, ...]

# What Kubernetes sets for each service: a service called "app" must not stop an application whose
# prefix is APP_.
_SERVICE_LINK = re.compile(
    r"(?:^|_)(?:SERVICE_HOST|SERVICE_PORT(?:_.*)?|PORT_\d+_(?:TCP|UDP)(?:_(?:PROTO|PORT|ADDR))?)$"
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a settings class asks for."""

    prefix: str
    leaves: tuple[Leaf, ...]
    names: Mapping[FieldPath, str]  # of the variables

    @classmethod
    def of(cls, settings: type[object], prefix: str) -> Wanted:
        """Return what ``settings`` asks for, each field with the variable that it is read from."""
        found = tuple(leaves(settings))
        names: dict[FieldPath, str] = {}
        owners: dict[str, FieldPath] = {}
        for leaf in found:
            name = prefix + "__".join(leaf.path).upper()
            other = owners.setdefault(name, leaf.path)
            if other != leaf.path:
                raise ConfigError(
                    f"{'.'.join(other)} and {'.'.join(leaf.path)} would both be read from {name}: "
                    "rename one."
                )
            names[leaf.path] = name
        return cls(prefix, found, names)

    def hides(self, path: FieldPath) -> bool:
        """Tell whether the value at ``path`` may be, or be part of, or contain, a secret."""
        if any(SECRET_NAME.search(part) for part in path):
            return True
        near = [
            leaf
            for leaf in self.leaves
            if all(one == other for one, other in zip(leaf.path, path, strict=False))
        ]
        return not near or any(leaf.is_secret for leaf in near)


@dataclass(frozen=True, slots=True)
class Given:
    """What the sources hold, laid over each other."""

    tree: dict[str, object]
    origins: Mapping[FieldPath, Origin]
    table: Table
    variables: Variables

    def origin(self, path: FieldPath) -> str:
        """Return the origin of the value at ``path``, or of the nearest value it is part of."""
        for end in range(len(path), 0, -1):
            if origin := self.origins.get(path[:end]):
                return str(origin)
        for end in range(len(path), 0, -1):
            if _has(self.table.values, path[:end]):
                return str(self.table.origin(path[:end]))
        return ""


def gather(
    wanted: Wanted,
    file: str | Path | None,
    table: str | None,
    dotenv: Dotenv,
    environ: Mapping[str, str] | None,
) -> Given:
    """Return what the sources hold for ``wanted``.

    Raises:
        SettingsError: a source cannot be read; the problems of all sources are in it.
    """
    problems: list[Problem] = []
    toml = Table({})
    variables = Variables(())
    try:
        toml = read_table(file, table) if file is not None else toml
    except SourceError as exc:
        problems += exc.problems
    try:
        variables = read_variables(environ, dotenv)
    except SourceError as exc:
        problems += exc.problems
    found = dict(_find(variables, wanted, problems))
    if problems:
        # With a source missing, all its values would be missing too: that is no news.
        raise SettingsError(problems)
    return _lay_over(toml, variables, found, wanted)


def _find(
    variables: Variables, wanted: Wanted, problems: list[Problem]
) -> Iterator[tuple[FieldPath, Variable]]:
    taken = set(wanted.names.values())
    for path, name in wanted.names.items():
        try:
            if variable := variables.find(name, taken=taken):
                yield path, variable
        except SourceError as exc:
            problems += exc.problems


def _lay_over(
    table: Table, variables: Variables, found: Mapping[FieldPath, Variable], wanted: Wanted
) -> Given:
    tree = _copy(table.values)
    origins = {
        leaf.path: table.origin(leaf.path)
        for leaf in wanted.leaves
        if _has(table.values, leaf.path)
    }
    for path, variable in found.items():
        if _put(tree, path, Text(variable.value)):
            origins[path] = variable.origin
    return Given(tree, origins, table, variables)


def _copy(values: Mapping[str, object]) -> dict[str, object]:
    return {
        key: _copy(value) if isinstance(value, dict) else value for key, value in values.items()
    }


def _put(tree: dict[str, object], path: FieldPath, value: object) -> bool:
    for key in path[:-1]:
        inner = tree.setdefault(key, {})
        if not isinstance(inner, dict):
            return False  # the file has a value where a group belongs, and will be told so
        tree = inner
    tree[path[-1]] = value
    return True


def _has(values: object, path: FieldPath) -> bool:
    for key in path:
        if not isinstance(values, dict) or key not in values:
            return False
        values = values[key]
    return True


def strangers(variables: Variables, wanted: Wanted, ignore: Collection[str]) -> Iterator[Problem]:
    """Yield a problem for each variable that begins with the prefix and is no setting.

    Without a prefix every variable of the machine would be one: nothing is yielded.
    """
    if not wanted.prefix:
        return
    known = set(wanted.names.values())
    for name, variable in variables.names(wanted.prefix):
        is_known = name == VARIABLE or name in known or name.removesuffix(FILE_SUFFIX) in known
        is_foreign = any(fnmatchcase(name, each) for each in ignore) or _is_service_link(
            name.removeprefix(wanted.prefix), variable
        )
        if not is_known and not is_foreign:
            # The names of values beside it are no secret; its own value may be.
            yield Problem(
                name, f"is not a setting{did_you_mean(name, known)}", str(variable.origin)
            )


def _is_service_link(rest: str, variable: Variable) -> bool:
    if variable.origin.kind != "environment":
        return False
    is_address = rest.endswith("PORT") and variable.value.startswith(("tcp://", "udp://"))
    return is_address or _SERVICE_LINK.search(rest) is not None
