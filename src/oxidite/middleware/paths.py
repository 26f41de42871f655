"""A set of paths, some of them with all that is below."""

from __future__ import annotations

from collections.abc import Iterable

from oxidite.errors import ConfigError

__all__ = ["Paths"]


class Paths:
    """``/health`` is that path, ``/static/*`` is every one that begins with ``/static/``."""

    def __init__(self, paths: Iterable[str]) -> None:
        given = [paths] if isinstance(paths, str) else list(paths)
        for each in given:
            if not each.startswith("/") or "*" in each[:-1]:
                raise ConfigError(
                    f"{each!r} is not a path. Write '/health', or '/static/*' for all that begin so."
                )
        self._exact = frozenset(each for each in given if not each.endswith("*"))
        self._begin = tuple(each[:-1] for each in given if each.endswith("*"))

    def __contains__(self, path: str) -> bool:
        return path in self._exact or path.startswith(self._begin)
