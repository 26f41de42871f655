"""``oxidite.cli.dev.watch``: which files matter, and when they changed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from oxidite.cli.dev.watch import SETTLE, _look, is_watched, watch
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
    """What ``watch`` yields, a batch at a time."""

    def __init__(self, root: Path, batches: AsyncIterator[set[Path]]) -> None:
        self.root = root
        self._batches = batches

    async def next(self) -> set[str]:
        """Return the next batch."""
        async with asyncio.timeout(TIMEOUT):
            batch = await anext(self._batches)
        return {str(path.relative_to(self.root.resolve())) for path in batch}

    async def after(self, change: Callable[[], object]) -> set[str]:
        """Make a change and return the next batch."""
        change()
        return await self.next()


@contextlib.asynccontextmanager
async def watching(root: Path, *, poll: bool = False) -> AsyncIterator[Changes]:
    (root / "seen.py").touch()
    async with watch(root, poll=poll) as batches:
        yield Changes(root, batches)


@pytest.fixture(params=[False, True], ids=["notices", "polling"])
async def changes(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Changes]:
    """Changes below ``tmp_path``, noticed in each way."""
    async with watching(tmp_path, poll=request.param) as found:
        yield found


async def test_a_new_file_is_noticed(changes: Changes) -> None:
    assert await changes.after((changes.root / "new.py").touch) == {"new.py"}


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

    assert await changes.after(change) == {"folder/inner/page.html"}


async def test_files_of_a_folder_that_is_moved_are_noticed(changes: Changes) -> None:
    here, there = changes.root / "here", changes.root / ".there"
    there.mkdir()
    (there / "x.py").touch()

    assert await changes.after(lambda: there.rename(here)) == {"here/x.py"}
    assert await changes.after(lambda: here.rename(there)) == {"here/x.py"}


async def test_the_folder_itself_may_change(changes: Changes) -> None:
    changes.root.chmod(0o750)

    assert await changes.after((changes.root / "new.py").touch) == {"new.py"}


async def test_what_changes_as_soon_as_it_is_watched_is_noticed(tmp_path: Path) -> None:
    for number in range(5):
        async with watching(tmp_path, poll=True) as found:
            assert await found.after((tmp_path / f"{number}.py").touch) == {f"{number}.py"}


async def test_a_change_that_the_system_does_not_tell_of_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def silence(*_: Path, **__: object) -> AsyncIterator[None]:
        await asyncio.get_running_loop().create_future()
        yield

    monkeypatch.setattr("watchfiles.awatch", silence)
    async with watching(tmp_path) as found:
        assert await found.after((tmp_path / "new.py").touch) == {"new.py"}


@pytest.mark.parametrize(
    "error",
    [
        OSError("no more watches"),
        RuntimeError("no more watchers"),
        ExceptionGroup("in a task", [RuntimeError("an error of the watcher")]),
    ],
    ids=str,
)
async def test_a_change_is_noticed_where_the_system_tells_of_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    class Refusal:
        def __aiter__(self) -> Refusal:
            return self

        async def __anext__(self) -> None:
            raise error

    monkeypatch.setattr("watchfiles.awatch", lambda *_, **__: Refusal())
    async with watching(tmp_path) as found:
        assert await found.after((tmp_path / "new.py").touch) == {"new.py"}


async def test_notices_are_not_waited_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("oxidite.cli.dev.watch.SELDOM", TIMEOUT * 2)
    async with watching(tmp_path) as found:
        for number in range(3):
            assert await found.after((tmp_path / f"{number}.py").touch) == {f"{number}.py"}


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


class Stepped(TravelClock):
    """A clock that passes at once, and calls ``before`` with each sleep that somebody asks for."""

    def __init__(self, before: Callable[[float], object]) -> None:
        super().__init__()
        self._before = before

    async def sleep(self, seconds: float) -> None:
        self._before(seconds)


async def test_a_batch_grows_while_something_changes(tmp_path: Path) -> None:
    names = iter(("second.py", "third.py"))
    slept: list[float] = []

    def change(seconds: float) -> None:
        slept.append(seconds)
        if name := next(names, None):
            (tmp_path / name).touch()

    with use(Stepped(change)):
        async with asyncio.timeout(TIMEOUT), watch(tmp_path, poll=True) as batches:
            (tmp_path / "first.py").touch()
            batch = await anext(batches)

    assert {path.name for path in batch} == {"first.py", "second.py", "third.py"}
    assert slept == [SETTLE, SETTLE, SETTLE]


def test_a_folder_or_file_that_goes_away_during_a_look_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "stays.py").touch()
    (tmp_path / "dangling.py").symlink_to(tmp_path / "nowhere.py")

    assert list(_look(tmp_path)) == [tmp_path / "stays.py"]
    assert _look(tmp_path / "gone") == {}
