"""``oxidite db shell``: a prompt in which ``await User.get(1)`` works."""

from __future__ import annotations

import ast
import asyncio
import code
import inspect
import sys
import threading
from collections.abc import Mapping
from types import CodeType, FunctionType

import click

from oxidite.cli.commands import Command
from oxidite.cli.console import bold, dim, say
from oxidite.cli.database.project import Project, database_options, find_project, run

__all__ = ["shell"]


@click.command(cls=Command)
@database_options
def shell(app: str | None, database: str | None) -> int:
    """Open a Python prompt with the models and the database at hand; `await` works there.

    Examples:
      oxidite db shell
      echo 'print(await User.query().count())' | oxidite db shell
    """
    return run(_shell(find_project(app, database)))


async def _shell(project: Project) -> int:
    async with project.database as database:
        names: dict[str, object] = {"db": database, "app": project.app}
        names |= {table.make.__name__: table.make for table in project.tables}
        if sys.stdin.isatty():
            say(f"{bold(', '.join(names))} {dim('(await works; Ctrl-D ends it)')}")
        with database.using():
            return await _converse(names)


async def _converse(names: Mapping[str, object]) -> int:
    """Run a prompt in a thread, and what is typed there in this loop; return the exit code."""
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    console = Console(loop, dict(names))

    def talk() -> None:
        try:
            console.interact("", "")
        finally:
            loop.call_soon_threadsafe(ended.set)

    # A daemon: a thread that waits for a line cannot be told to stop.
    threading.Thread(target=talk, name="oxidite-shell", daemon=True).start()
    await ended.wait()
    return int(console.has_failed and not sys.stdin.isatty())


class Console(code.InteractiveConsole):
    """Reads statements, and runs each in an event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, names: dict[str, object]) -> None:
        super().__init__(names)
        self.compile.compiler.flags |= ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        self._loop = loop
        self.has_failed: bool = False
        self._quiet = not sys.stdin.isatty()

    def raw_input(self, prompt: str = "") -> str:
        """Read a line; without a terminal there is nobody to prompt."""
        return super().raw_input("" if self._quiet else prompt)

    def runcode(self, code: CodeType) -> None:
        """Run a statement in the loop and wait for it; what it raises is shown."""

        async def statement() -> None:
            result = FunctionType(code, self.locals)()
            if inspect.isawaitable(result):
                await result

        try:
            asyncio.run_coroutine_threadsafe(statement(), self._loop).result()
        except SystemExit:
            raise
        except BaseException:  # noqa: BLE001 - a prompt goes on
            self.has_failed = True
            self.showtraceback()
