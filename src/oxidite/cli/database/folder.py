"""Where the migrations of a project are."""

from __future__ import annotations

from pathlib import Path

from oxidite.cli.locate import tool_table
from oxidite.errors import ConfigError

__all__ = ["migrations_folder"]


def migrations_folder(directory: Path) -> Path:
    """Return where the migrations of a project are; those of named databases are in folders below.

    Raises:
        ConfigError: pyproject.toml says it wrongly.
    """
    said = tool_table(directory).get("migrations", "migrations")
    if not isinstance(said, str):
        raise ConfigError('pyproject.toml: [tool.oxidite] migrations is text such as "migrations".')
    return directory / said
