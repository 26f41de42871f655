"""``oxidite.cli.dev.watch``: which files matter, and when they changed."""

from __future__ import annotations

import asyncio
import contextlib
import errno
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from oxidite.cli.dev.watch import INTERVAL, SETTLE, _look, is_watched, watch
from oxidite.clock import TravelClock, use

TIMEOUT = 10.0


@pytest.mark.parametrize(
    "name", ["app.py", "blog/views.py", "pyproject.toml", "blog/pages/index.html", ".env"]
)
def test_code_pages_and_settings_are_watched(name: str) -> None:
    root = Path("/project")

    assert is_watched(root / name, root)


@pytest.mark.parametrize(
    "name",
    [
        "notes.txt",
        "app.pyc",
        "app.db",
        ".venv/lib/python3.11/site.py",
        ".git/hooks/hook.py",
        "node_modules/x/x.html",
        "web/node_modules/x/x.py",
        "blog/__pycache__/app.cpython-311.py",
        ".hidden/app.py",
        ".#app.py",
        ".env.example",
        "app.py~",
        "app.py.swp",
    ],
)
def test_everything_else_is_not(name: str) -> None:
    root = Path("/project")

    assert not is_watched(root / name, root)


def test_a_project_below_a_hidden_folder_is_watched() -> None:
    root = Path("/home/me/.work/project")

    assert is_watched(root / "app.py", root)


class Changes:
    """What ``watch`` has yielded so far."""

    def __init__(self, root: Path, *, poll: bool) -> None:
        self.root = root.resolve()
        self._changes = watch(root, poll=poll)
        self._batches: list[set[str]] = []
        self._new = asyncio.Event()

    async def read(self) -> None:
        async for batch in self._changes:
            self._batches.append({str(path.relative_to(self.root)) for path in batch})
            self._new.set()

    async def after(self, change: Callable[[], object]) -> set[str]:
        """Make a change and return the next batch."""
        self._new.clear()
        change()
        async with asyncio.timeout(TIMEOUT):
            await self._new.wait()
        return self._batches[-1]


@pytest.fixture(params=[False, True], ids=["notices", "polling"])
async def changes(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Changes]:
    """Changes below ``tmp_path``, noticed in each way."""
    (tmp_path / "seen.py").touch()
    found = Changes(tmp_path, poll=request.param)
    task = asyncio.create_task(found.read())
    await _until_it_watches(found, tmp_path)
    yield found
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def _until_it_watches(changes: Changes, root: Path) -> None:
    """Change a file until that is noticed: nothing says when watching has begun."""
    for attempt in range(20):
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1.5):
                await changes.after(lambda: (root / "seen.py").write_text(str(attempt)))  # noqa: B023 - called at once
                return
    pytest.fail("nothing was noticed")


async def test_a_new_file_is_noticed(changes: Changes) -> None:
    assert await changes.after((changes.root / "new.py").touch) >= {"new.py"}


async def test_a_changed_file_is_noticed(changes: Changes) -> None:
    file = changes.root / "seen.py"

    assert await changes.after(lambda: file.write_text("changed")) == {"seen.py"}


async def test_a_deleted_file_is_noticed(changes: Changes) -> None:
    assert await changes.after((changes.root / "seen.py").unlink) == {"seen.py"}


async def test_a_file_that_takes_the_place_of_another_is_noticed(changes: Changes) -> None:
    new = changes.root / "seen.py.new"
    new.touch()

    assert await changes.after(lambda: new.rename(changes.root / "seen.py")) == {"seen.py"}


async def test_a_file_in_a_new_folder_is_noticed(changes: Changes) -> None:
    def change() -> None:
        (changes.root / "folder" / "inner").mkdir(parents=True)
        (changes.root / "folder" / "inner" / "page.html").touch()
        (changes.root / "seen.py").write_text("both, as a notice of the folder alone may come late")

    assert "seen.py" in await changes.after(change)


async def test_files_that_do_not_matter_are_left_out(changes: Changes) -> None:
    def change() -> None:
        (changes.root / ".git").mkdir()
        for name in (".git/hook.py", "notes.txt", "seen.py"):
            (changes.root / name).write_text("changed")

    assert await changes.after(change) == {"seen.py"}


async def test_changes_in_quick_succession_are_one_batch(changes: Changes) -> None:
    def change() -> None:
        for number in range(5):
            (changes.root / f"{number}.py").touch()

    assert await changes.after(change) == {f"{number}.py" for number in range(5)}


async def test_where_the_system_has_no_more_notices_the_files_are_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Path] = []

    async def exhausted(root: Path, **_: object) -> AsyncIterator[set[object]]:
        asked.append(root)
        if asked:
            raise OSError(errno.ENOSPC, "No space left on device")
        yield set()

    monkeypatch.setattr("watchfiles.awatch", exhausted)
    changes = Changes(tmp_path, poll=False)
    task = asyncio.create_task(changes.read())
    await _until_it_watches(changes, tmp_path)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task

    assert asked == [changes.root]


class Stepped(TravelClock):
    """A clock that passes at once, and calls ``before`` with each sleep that somebody asks for."""

    def __init__(self, before: Callable[[float], object]) -> None:
        super().__init__()
        self._before = before

    async def sleep(self, seconds: float) -> None:
        self._before(seconds)


async def test_a_batch_grows_while_something_changes(tmp_path: Path) -> None:
    names = iter(("first.py", "second.py", "third.py"))
    slept: list[float] = []

    def change(seconds: float) -> None:
        slept.append(seconds)
        if name := next(names, None):
            (tmp_path / name).touch()

    with use(Stepped(change)):
        async with asyncio.timeout(TIMEOUT):
            batch = await anext(watch(tmp_path, poll=True))

    assert {path.name for path in batch} == {"first.py", "second.py", "third.py"}
    assert slept == [INTERVAL, SETTLE, SETTLE, SETTLE]


def test_a_folder_or_file_that_goes_away_during_a_look_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "stays.py").touch()
    (tmp_path / "dangling.py").symlink_to(tmp_path / "nowhere.py")

    assert list(_look(tmp_path)) == [tmp_path / "stays.py"]
    assert _look(tmp_path / "gone") == {}
