"""Where settings come from: the TOML file, ``.env``, the environment and the files it names."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from oxidite.config.dotenv import parse_dotenv
from oxidite.config.environment import environment, process_environment
from oxidite.config.problems import Problem
from oxidite.config.toml import find_lines

Dotenv: TypeAlias = str | Path | bool | None
"""A file of variables; ``True`` is ``.env``, ``False`` none; ``None`` is ``.env`` in development only."""

FILE_SUFFIX = "_FILE"

_LARGEST = 1_000_000  # bytes of a file; one that is larger was named by mistake
_AT_LINE = re.compile(r"at line ([0-9]+)")


class SourceError(Exception):
    """A source cannot be read; it carries every problem in it."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__(*problems)
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value came from: what kind of source, and the place in it, for a person."""

    kind: Literal["default", "toml", "dotenv", "environment", "secret file"]
    place: str = ""

    def __str__(self) -> str:
        return self.place or self.kind


DEFAULT = Origin("default")


@dataclass(frozen=True, slots=True)
class Variable:
    """The value of a variable and where it was set."""

    value: str
    origin: Origin


@dataclass(frozen=True, slots=True)
class Table:
    """A table of a TOML file, with the line of each of its keys."""

    values: Mapping[str, object]
    file: str = ""
    lines: Mapping[tuple[str, ...], int] | None = None

    def origin(self, path: tuple[str, ...]) -> Origin:
        """Return the place of the key at ``path``."""
        line = (self.lines or {}).get(path)
        return Origin("toml", f"{self.file}:{line}" if line else self.file)


@dataclass(frozen=True, slots=True)
class Variables:
    """The variables there are: the real ones, and below them those of ``.env``."""

    layers: tuple[Mapping[str, Variable], ...]

    def find(self, name: str, *, taken: Collection[str] = ()) -> Variable | None:
        """Return the variable ``name``, or the content of the file that ``<name>_FILE`` names.

        A file wins over a value in the same layer. A name in ``taken`` is a variable of its own
        even if it ends in ``_FILE``.

        Raises:
            SourceError: the file cannot be read.
        """
        pointer = name + FILE_SUFFIX
        for layer in self.layers:
            if pointer not in taken and (named := layer.get(pointer)) and named.value:
                return _read_secret_file(pointer, named.value)
            if name in layer:
                return layer[name]
        return None

    def names(self, prefix: str) -> Iterator[tuple[str, Variable]]:
        """Yield every variable whose name begins with ``prefix``, by name in each layer."""
        for layer in self.layers:
            yield from sorted(item for item in layer.items() if item[0].startswith(prefix))


def read_variables(environ: Mapping[str, str] | None, dotenv: Dotenv) -> Variables:
    """Return the variables of ``environ``, or of the process, and of ``.env`` if it is to be read.

    ``dotenv`` is a file that must exist, ``True`` for ``.env`` that must exist, ``False`` for none;
    ``None`` reads ``.env`` in development if there is one.

    Raises:
        SourceError: the file cannot be read, with every malformed line.
    """
    real = process_environment() if environ is None else environ
    layers = [
        {
            name: Variable(value, Origin("environment", f"environment variable {name}"))
            for name, value in real.items()
        }
    ]
    if file := _dotenv_file(dotenv, real):
        layers.append(_read_dotenv(file))
    return Variables(tuple(layers))


def _dotenv_file(dotenv: Dotenv, environ: Mapping[str, str]) -> Path | None:
    if dotenv is None:
        file = Path(".env")
        is_wanted = environment(environ=environ) == "development" and file.is_file()
        return file if is_wanted else None
    if isinstance(dotenv, bool):
        return Path(".env") if dotenv else None
    return Path(dotenv)


def _read_dotenv(file: Path) -> dict[str, Variable]:
    lines, problems = parse_dotenv(_read(file, str(file)), str(file))
    if problems:
        raise SourceError(*problems)
    return {
        name: Variable(line.value, Origin("dotenv", f"{file}:{line.number} {name}"))
        for name, line in lines.items()
    }


def _read_secret_file(pointer: str, file: str) -> Variable:
    content = _read(Path(file), pointer)
    # One newline, which editors and echo add; any other may belong to a key.
    content = content.removesuffix("\n").removesuffix("\r")
    return Variable(content, Origin("secret file", f"{file}, named by {pointer}"))


def read_table(file: str | Path, table: str | None) -> Table:
    """Return ``table`` (``"tool.shop"``) of a TOML file, or the whole file.

    Raises:
        SourceError: the file is missing, not TOML, or without that table.
    """
    text = _read(Path(file), str(file))
    try:
        values: object = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as exc:
        line = _AT_LINE.search(str(exc))
        place = f"{file}:{line[1]}" if line else str(file)
        raise SourceError(Problem(place, f"is not TOML: {exc}")) from None
    lines = find_lines(text)
    for key in table.split(".") if table else ():
        inside = values if isinstance(values, dict) else {}
        if not isinstance(values := inside.get(key), dict):
            raise SourceError(Problem(str(file), f"has no table [{table}]"))
        lines = {path[1:]: line for path, line in lines.items() if path[:1] == (key,)}
    return Table(values if isinstance(values, dict) else {}, str(file), lines)


def _read(file: Path, subject: str) -> str:
    where = "" if subject == str(file) else f" {str(file)!r}"
    try:
        with file.open("rb") as opened:
            data = opened.read(_LARGEST + 1)
        if len(data) > _LARGEST:
            raise SourceError(Problem(subject, f"the file{where} is larger than {_LARGEST} bytes"))
        return data.decode()
    except OSError as exc:
        raise SourceError(
            Problem(subject, f"the file{where} cannot be read: {exc.strerror}")
        ) from None
    except ValueError:  # not UTF-8, or a name that no file can have
        raise SourceError(Problem(subject, f"the file{where} is not text in UTF-8")) from None
