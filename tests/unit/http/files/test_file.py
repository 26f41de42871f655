from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from oxidite.errors import NotFoundError
from oxidite.http.files.file import SMALL, look, stored


class Stingy(io.FileIO):
    """Gives ten bytes at a time, and may lose its end meanwhile."""

    cut_to: int | None = None

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(10) or b""
        if self.cut_to is not None:
            os.truncate(self.name, self.cut_to)
        return data


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "file.txt"
    path.write_bytes(bytes(range(100)))
    return path


def test_a_file_that_comes_in_small_portions_is_read_whole(path: Path) -> None:
    with Stingy(str(path)) as file:
        found = stored(str(path), file)

    assert (found.size, found.content) == (100, bytes(range(100)))


def test_a_file_that_shrinks_while_it_is_read_is_as_long_as_what_was_read(path: Path) -> None:
    with Stingy(str(path)) as file:
        file.cut_to = 15
        found = stored(str(path), file)

    assert (found.size, found.content) == (15, bytes(range(15)))


def test_a_file_that_grows_beyond_what_is_small_is_left_to_be_read_later(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(bytes(SMALL))

    class Growing(io.FileIO):
        def read(self, size: int | None = -1, /) -> bytes:
            os.truncate(path, 2 * SMALL)
            return super().read(size) or b""

    with Growing(str(path)) as file:
        found = stored(str(path), file)

    assert (found.size, found.content) == (SMALL, None)


def test_a_file_of_the_kernel_that_tells_no_size_is_read() -> None:
    found = look("/proc/self/status")

    assert found.content is not None
    assert found.size == len(found.content) > 0


def test_what_is_known_of_a_file_is_current_until_it_changes(path: Path) -> None:
    found = look(str(path))
    assert found.is_current()

    os.utime(path, ns=(1, 1))
    assert not found.is_current()
    path.unlink()
    assert not found.is_current()


def test_the_content_of_a_file_is_not_in_its_repr(path: Path) -> None:
    assert "content=" not in repr(look(str(path)))


def test_what_is_no_regular_file_leaves_nothing_open(tmp_path: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))

    for _ in range(5):
        with pytest.raises(NotFoundError):
            look(str(tmp_path))

    assert len(list(Path("/proc/self/fd").iterdir())) == before
