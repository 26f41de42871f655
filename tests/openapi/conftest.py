"""The applications whose documents are tested, and a browser."""

from __future__ import annotations

import importlib
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import cast

import pytest

from oxidite import Oxidite

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session", autouse=True)
def importable() -> Iterator[None]:
    """Let ``blog`` be imported as by ``oxidite dev``, and what is beside this file by its name."""
    places = [str(ROOT / "examples"), str(Path(__file__).parent)]
    sys.path[:0] = places
    yield
    for place in places:
        sys.path.remove(place)


@pytest.fixture
def blog(monkeypatch: pytest.MonkeyPatch) -> Oxidite:
    monkeypatch.setenv("DATABASE_URL", "sqlite://")  # read when it is imported
    return cast("Oxidite", importlib.import_module("blog.app").app)


@pytest.fixture
def large() -> Oxidite:
    return cast("Oxidite", importlib.import_module("large").app)


@pytest.fixture
async def browser(tmp_path: Path) -> AsyncIterator[object]:
    """Yield a page of a browser that has just been started."""
    module = importlib.import_module("browser")
    program = module.find_chromium()
    if program is None:
        pytest.skip("there is no Chromium on this machine: apt-get install chromium")
    async with module.started(program, tmp_path / "profile") as page:
        yield page
