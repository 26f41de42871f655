"""Files with a digest of their content in the URL, so that they may be kept for ever."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from oxidite.config import environment
from oxidite.errors import ConfigError
from oxidite.routing.static.manifest import Manifest
from oxidite.routing.static.names import is_servable

__all__ = ["Assets"]

_DIGEST = 6  # bytes; twice as many characters
_COMPRESSED = (".br", ".zst", ".gz")


class _Digest(NamedTuple):
    text: str
    mtime_ns: int
    size: int


class Assets(os.PathLike[str]):
    """A directory of files that are addressed by their content: ``assets.url("app.css")``.

    Without a ``manifest`` the digests are made when the application starts, and in development
    whenever a file has changed; a URL has one before the ending, ``app.3f2a9c8b10d4.css``. With one,
    as bundlers write it (Vite's ``.vite/manifest.json``, or an object of plain names), the names are
    those of the bundler. Give it to ``static``, which serves what it knows as immutable, everything
    else of the directory to be asked for anew, and a digest that is not current with 404.
    """

    def __init__(
        self,
        directory: str | os.PathLike[str],
        *,
        manifest: str | os.PathLike[str] | None = None,
    ) -> None:
        self.directory: Path = Path(directory).absolute()
        self._manifest_path = None if manifest is None else Path(manifest).absolute()
        self._manifest: Manifest | None = None
        self._prefix: str | None = None
        self._digests: dict[str, _Digest] = {}
        self._originals: dict[str, str] = {}
        self._changing = environment() == "development"

    def __fspath__(self) -> str:
        return str(self.directory)

    def url(self, name: str) -> str:
        """Return the URL of a file by its path below the directory, or its name in the manifest.

        Raises:
            ConfigError: there is no such file, or no application serves these.
        """
        if self._prefix is None:
            raise ConfigError(
                f"The assets of {self.directory} are not served yet: give them to "
                'app.static("/assets", assets), and ask when the application has started.'
            )
        return self._prefix + quote("/" + self._path(name))

    def styles(self, name: str) -> list[str]:
        """Return the URLs of the style sheets that a script of the manifest brings along.

        Raises:
            ConfigError: as ``url``; or there is no manifest.
        """
        if self._manifest is None:
            raise ConfigError("Only a manifest tells which style sheets belong to a script.")
        self._path(name)
        return [f"{self._prefix}{quote('/' + path)}" for path in self._manifest.styles(name)]

    def _path(self, name: str) -> str:
        if self._manifest is not None:
            path = self._manifest.files.get(name)
            if path is None:
                raise self._unknown(name, self._manifest.files)
            return path
        if (self._changing or name not in self._digests) and not self._digest(name):
            raise self._unknown(name, self._digests)
        return _hashed(name, self._digests[name].text)

    def _unknown(self, name: str, known: Mapping[str, object]) -> ConfigError:
        close = get_close_matches(name, known, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        where = self._manifest_path or self.directory
        return ConfigError(f"There is no asset {name!r} in {where}.{hint}")

    # For the site that serves them.

    def placed(self, prefix: str) -> None:
        """Get ready to be served below ``prefix``.

        Raises:
            ConfigError: the prefix has parameters, or the manifest cannot be read.
        """
        if "{" in prefix:
            raise ConfigError(f"Assets need one place, and {prefix!r} is many: it has parameters.")
        if self._prefix is None:
            self._prefix = prefix
        if self._manifest_path is not None:
            self._manifest = Manifest.read(self._manifest_path)
            return
        for name in _names(self.directory):
            self._digest(name)

    def original(self, path: str) -> str:
        """Return the path of the file that is asked for by ``path``. To be called in a thread."""
        name = self._originals.get(path)
        if name is None:
            return path
        # It may have been changed where it stands: nothing new may be kept under the old digest.
        self._digest(name)
        return self._originals.get(path, path)

    def is_immutable(self, path: str) -> bool:
        """Tell whether what is asked for by ``path`` can never be anything else."""
        if self._manifest is not None:
            return path in self._manifest.built
        return path in self._originals

    def _digest(self, name: str) -> bool:
        """Bring the digest of a file up to date; tell whether there is such a file."""
        if not is_servable(name):
            return False
        path = self.directory / name
        try:
            found = path.stat()
            known = self._digests.get(name)
            if known is not None and known[1:] == (found.st_mtime_ns, found.st_size):
                return True
            with path.open("rb") as file:
                text = hashlib.file_digest(file, _blake).hexdigest()
        except OSError:
            return False
        if known is not None:
            # What a digest stands for never changes: the old one stands for nothing any more.
            self._originals.pop(_hashed(name, known.text), None)
        self._digests[name] = _Digest(text, found.st_mtime_ns, found.st_size)
        self._originals[_hashed(name, text)] = name
        return True


def _blake() -> hashlib.blake2b:
    return hashlib.blake2b(digest_size=_DIGEST)


def _hashed(name: str, digest: str) -> str:
    folder, slash, last = name.rpartition("/")
    stem, dot, ending = last.rpartition(".")
    return f"{folder}{slash}{stem}.{digest}.{ending}" if dot else f"{name}.{digest}"


def _names(directory: Path) -> Iterator[str]:
    """Yield the paths of the files that may be served; not those that hold another compressed."""
    for folder, _, files in os.walk(directory):
        names = set(files)
        for file in files:
            stem, ending = os.path.splitext(file)  # noqa: PTH122 - of a name, not of a path
            name = (Path(folder) / file).relative_to(directory).as_posix()
            if is_servable(name) and not (ending in _COMPRESSED and stem in names):
                yield name
