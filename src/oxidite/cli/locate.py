"""Finds the application that a command is about."""

from __future__ import annotations

import tomllib
from pathlib import Path

from oxidite.config.problems import did_you_mean
from oxidite.errors import ConfigError
from oxidite.servers import Target, TargetError

__all__ = ["locate", "tool_table"]

_FILES = ("app.py", "main.py")
_PYPROJECT = "pyproject.toml"


def locate(said: str | None, directory: Path) -> Target:
    """Return the application that ``said`` names, else the one of the project in ``directory``.

    A file is imported under the name it has inside its package, from the directory above it.

    Raises:
        TargetError: there is none, or the name means nothing.
        ConfigError: pyproject.toml is wrong.
    """
    if said is not None:
        return _read(said, directory)
    named = tool_table(directory).get("app")
    if named is not None:
        if not isinstance(named, str):
            raise ConfigError(f'{_PYPROJECT}: [tool.oxidite] app is text such as "blog.main:app".')
        return _read(named, directory)
    for name in _FILES:
        if (directory / name).is_file():
            return _of_file(directory / name, None)
    raise TargetError(
        f"There is no application in {directory}: neither app.py nor main.py, nor a "
        f"[tool.oxidite] app in {_PYPROJECT}. Name it: a file, or module:attribute."
    )


def tool_table(directory: Path) -> dict[str, object]:
    """Return the table ``[tool.oxidite]`` of the project; an empty one if there is none.

    Raises:
        ConfigError: the file cannot be read, or is not TOML.
    """
    file = directory / _PYPROJECT
    if not file.is_file():
        return {}
    try:
        content: object = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as exc:
        raise ConfigError(f"{file} cannot be read: {exc}") from None
    for key in ("tool", "oxidite"):
        content = content.get(key) if isinstance(content, dict) else None
    return content if isinstance(content, dict) else {}


def _read(said: str, directory: Path) -> Target:
    name, _, attribute = said.partition(":")
    path = directory / name
    if name.endswith(".py") or "/" in name:
        return _of_file(_file_at(path, name), attribute or None)
    if not all(part.isidentifier() for part in name.split(".")):
        raise TargetError(
            f"{name!r} is neither a file nor a module. Name the application as app.py, "
            f"blog/main.py, blog.main or blog.main:app{_similar(name, directory)}"
        )
    return _of_module(name, attribute or None, directory)


def _file_at(path: Path, name: str) -> Path:
    if path.is_file():
        return path
    if path.is_dir():
        for each in _FILES:
            if (path / each).is_file():
                return path / each
        raise TargetError(f"There is neither app.py nor main.py in {name}")
    raise TargetError(f"There is no file {name}{_similar(path.name, path.parent)}")


def _similar(name: str, directory: Path) -> str:
    if not directory.is_dir():
        return ""
    return did_you_mean(name, [each.name for each in directory.glob("*.py")])


def _of_file(file: Path, attribute: str | None) -> Target:
    file = file.resolve()
    names = [] if file.stem == "__init__" else [file.stem]
    root = file.parent
    while (root / "__init__.py").is_file():
        names.insert(0, root.name)
        root = root.parent
    for name in names:
        if not name.isidentifier():
            raise TargetError(
                f"{file.name} cannot be imported: {name!r} is no name of a module. "
                f"Rename it to {name.replace('-', '_').replace(' ', '_')!r}."
            )
    return Target(".".join(names), attribute, root, file)


def _of_module(name: str, attribute: str | None, directory: Path) -> Target:
    first = name.partition(".")[0]
    source = directory / "src"
    is_here = (directory / first).is_dir() or (directory / f"{first}.py").is_file()
    is_in_source = (source / first).is_dir() or (source / f"{first}.py").is_file()
    return Target(name, attribute, source if is_in_source and not is_here else directory)
