"""Functions in processes of their own: for what computes long, and for what must be stopped for certain."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import pickle
import signal
import threading
import traceback
from collections.abc import Mapping
from importlib import import_module
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

from oxidite.carried import restored
from oxidite.queue.errors import JobProcessError
from oxidite.queue.task import Task

__all__ = ["Processes"]


class Processes:
    """Calls tasks in processes; each has one at a time, and is kept for the next.

    A call that is cancelled, as by a time limit, ends its process.
    """

    def __init__(self) -> None:
        self._idle: list[_Process] = []

    async def run(
        self, task: Task[Any, Any], arguments: Mapping[str, object], context: bytes = b""
    ) -> object:
        """Call a task with what it takes along, and return or raise what it does.

        Raises:
            JobProcessError: the process has ended in the middle of it.
        """
        process = self._idle.pop() if self._idle else _Process()
        try:
            result = await process.call(task, arguments, context)
        except BaseException:
            process.kill()
            raise
        self._idle.append(process)
        is_value, value, trace = result
        if is_value:
            return value
        assert isinstance(value, BaseException)  # noqa: S101 - _answer says so
        value.add_note(trace)
        raise value

    def close(self) -> None:
        """End the processes that are idle."""
        while self._idle:
            self._idle.pop().kill()


class _Process:
    def __init__(self) -> None:
        self._process: BaseProcess | None = None
        self._line: Connection | None = None
        self._is_killed = False

    async def call(
        self, task: Task[Any, Any], arguments: Mapping[str, object], context: bytes
    ) -> tuple[bool, object, str]:
        function = task.function
        asked = (function.__module__, function.__qualname__, dict(arguments), context)
        # In a thread: what is large is taken only once the process is up.
        line = await asyncio.to_thread(self._send, asked)
        try:
            await _readable(line)
            answer: tuple[bool, object, str] = await asyncio.to_thread(line.recv)
        except (EOFError, OSError) as exc:
            raise JobProcessError(f"The process of the job has ended{self._how()}.") from exc
        return answer

    def kill(self) -> None:
        self._is_killed = True
        if self._process is not None:
            self._process.kill()
            self._process.join()
        if self._line is not None:
            self._line.close()

    def _send(self, asked: object) -> Connection:
        if self._line is None:
            context = multiprocessing.get_context("spawn")
            self._line, theirs = context.Pipe()
            process = context.Process(target=_serve, args=(theirs,), daemon=True)
            process.start()
            self._process = process
            theirs.close()
        if self._is_killed:
            # While this thread was starting it.
            self.kill()
        try:
            self._line.send(asked)
        except OSError as exc:
            raise JobProcessError(f"The process of the job has ended{self._how()}.") from exc
        return self._line

    def _how(self) -> str:
        if self._process is None:
            return ""
        self._process.join(1)
        code = self._process.exitcode or 0
        return f" by {signal.Signals(-code).name}" if code < 0 else f", with exit code {code}"


async def _readable(line: Connection) -> None:
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(line.fileno(), ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(line.fileno())


def _serve(line: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    while True:
        try:
            module, name, arguments, context = line.recv()
        except EOFError:
            return
        line.send_bytes(_answer(module, name, arguments, context))


def _answer(module: str, name: str, arguments: dict[str, object], context: bytes) -> bytes:
    try:
        found: Any = import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
        # After the import: what its module registers is known by then.
        with restored(context):
            result = found.function(**arguments)
        return pickle.dumps((True, result, ""))
    except BaseException as exc:  # noqa: BLE001 - whatever a job raises is its failure
        trace = "".join(traceback.format_exception(exc))
        return pickle.dumps((False, _portable(exc), trace))


def _portable(error: BaseException) -> BaseException:
    """Return an error, or one that says the same, if it cannot be sent to another process."""
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 - what was just made of our own error
    except Exception:  # noqa: BLE001 - a class may raise anything when it is made again
        return RuntimeError(f"{type(error).__qualname__}: {error}")
    return error


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
