"""What a bundler says of the files it made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec
from msgspec import Struct

from oxidite.errors import ConfigError

__all__ = ["Manifest"]


class _Chunk(Struct):
    """An entry of Vite's manifest; what else it says is for others."""

    file: str
    css: list[str] = []
    assets: list[str] = []
    imports: list[str] = []


@dataclass(frozen=True)
class Manifest:
    """Names of sources, and the files that were made of them."""

    files: Mapping[str, str]
    built: frozenset[str]
    """All files that were made, with a digest in their names."""
    chunks: Mapping[str, _Chunk]

    @classmethod
    def read(cls, path: Path) -> Manifest:
        """Read a file in the form of Vite, or an object of names by names.

        Raises:
            ConfigError: there is none, or it has another form.
        """
        try:
            raw = msgspec.json.decode(path.read_bytes(), type=dict[str, _Chunk | str])
        except OSError as exc:
            raise ConfigError(
                f"The manifest {path} cannot be read ({exc.strerror}). Build the assets first; Vite "
                "writes it when build.manifest is true."
            ) from None
        except msgspec.DecodeError as exc:
            raise ConfigError(
                f"{path} is no manifest of assets: {exc}. It is an object of file names, or of objects "
                'with "file", as Vite writes it.'
            ) from None
        chunks = {
            name: _Chunk(each.lstrip("/")) if isinstance(each, str) else each
            for name, each in raw.items()
        }
        built = {
            file for chunk in chunks.values() for file in (chunk.file, *chunk.css, *chunk.assets)
        }
        files = {name: chunk.file for name, chunk in chunks.items()}
        return cls(files, frozenset(built), chunks)

    def styles(self, name: str) -> list[str]:
        """Return the style sheets of a chunk and of those that it imports, each once."""
        found: dict[str, None] = {}
        seen: set[str] = set()
        waiting = [name]
        while waiting:
            chunk = self.chunks.get(waiting.pop(0))
            if chunk is None or chunk.file in seen:
                continue
            seen.add(chunk.file)
            found.update(dict.fromkeys(chunk.css))
            waiting += chunk.imports
        return list(found)
