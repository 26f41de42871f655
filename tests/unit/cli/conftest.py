"""Running the command, in this process and in one of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

import pytest

from oxidite.cli.main import main


@dataclass(frozen=True)
class Done:
    """How a command ended and what it wrote."""

    code: int
    out: str
    err: str


class Command:
    """The command, run in a directory of its own."""

    def __init__(self, directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.directory = directory
        self._capsys = capsys

    def write(self, name: str, source: str) -> None:
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(source))

    def __call__(self, *args: str) -> Done:
        """Run it in this process."""
        self._capsys.readouterr()
        code = main(args)
        captured = self._capsys.readouterr()
        return Done(code, captured.out, captured.err)

    def apart(self, *args: str) -> Done:
        """Run it in a process of its own."""
        done = subprocess.run(
            [sys.executable, "-P", "-m", "oxidite", *args],
            cwd=self.directory,
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
        return Done(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def oxidite(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Command]:
    """The command in an empty directory; what it imported is forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    for name in ("OXIDITE_ENV", "HOST", "PORT", "WEB_CONCURRENCY", "NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    path, modules = sys.path.copy(), set(sys.modules)
    yield Command(tmp_path, capsys)
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if not name.startswith("oxidite"):
            del sys.modules[name]
