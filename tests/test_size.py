"""What a smallest application weighs: the framework and what it requires, packed into one file."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement

import oxidite

LIMIT = 5_000_000
"""Bytes."""

APP = b"from oxidite import Oxidite\n\napp = Oxidite()\n"


def required(name: str, seen: set[str]) -> Iterator[Distribution]:
    """Yield the distributions that ``name`` requires without any extra, and theirs."""
    for line in distribution(name).requires or ():
        other = Requirement(line)
        if other.name in seen or (other.marker and not other.marker.evaluate({"extra": ""})):
            continue
        seen.add(other.name)
        yield distribution(other.name)
        yield from required(other.name, seen)


def packed(files: Iterator[tuple[str, bytes]]) -> int:
    """Return the size of one archive with all of that in it."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files:
            archive.writestr(name, data)
    return len(buffer.getvalue())


def contents() -> Iterator[tuple[str, bytes]]:
    root = Path(oxidite.__file__).parent
    yield "app.py", APP
    for path in root.rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            yield f"oxidite/{path.relative_to(root)}", path.read_bytes()
    for each in required("oxidite", set()):
        for file in each.files or ():
            path = Path(str(each.locate_file(file)))
            if path.is_file() and "__pycache__" not in path.parts:
                yield str(file), path.read_bytes()


def test_the_smallest_application_fits_into_five_megabytes() -> None:
    names = {each.name.lower() for each in required("oxidite", set())}
    size = packed(contents())

    assert names == {"click", "h11", "msgspec", "multipart", "uvicorn"}
    assert 500_000 < size < LIMIT  # below the first, something was not packed
