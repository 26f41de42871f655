"""Keeps workers serving: starts them, replaces those that end or are spent, and ends them all.

A successor starts while its predecessor serves. All share one listening socket that the supervisor
holds, so that no connection is lost between the two.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from types import FrameType
from typing import TypeAlias

from oxidite import clock
from oxidite.servers.base import Settings
from oxidite.servers.drain import MARGIN
from oxidite.servers.logs import warn
from oxidite.servers.slots import Slot, Worker, expiry
from oxidite.servers.workers import News, Report

__all__ = ["Start", "Supervisor"]

Start: TypeAlias = Callable[[int, Report], BaseProcess]
"""Makes the process for a place, which is not started yet and will report."""

_LOOK = 1.0
"""Seconds between two looks at the age and size of workers."""
_NOW = 0.0


class Supervisor:
    """Runs ``settings.workers`` processes of ``start``, which serve on ``sock``, and one of ``extra``."""

    def __init__(
        self, start: Start, settings: Settings, sock: socket.socket, *, extra: Start | None = None
    ) -> None:
        self._settings = settings
        self._sock = sock
        self._starts = [start] * settings.workers + ([extra] if extra is not None else [])
        self._extra = extra
        self._slots = [Slot(number) for number in range(len(self._starts))]
        self._leaving: list[Worker] = []
        self._news, theirs = multiprocessing.Pipe(duplex=False)
        self._report = Report(theirs)
        self._bell, self._ring = multiprocessing.Pipe(duplex=False)
        self._pid = os.getpid()
        self._signals: list[int] = []
        self._has_begun = False

    def run(self, announce: Callable[[], object]) -> int:
        """Work until SIGTERM or SIGINT; return the exit code. SIGHUP renews all workers.

        ``announce`` is called once, when all workers serve. If one does not start before that, none
        goes on. Later a new one is tried for again and again, as long as there is one that serves.

        Raises:
            KeyboardInterrupt: it was SIGINT; everything is stopped.
        """
        before = {each: signal.signal(each, self._obey) for each in _obeyed()}
        try:
            for slot in self._slots:
                slot.worker = self._start(slot)
            code = self._work(announce)
        finally:
            self._end()
            for each, handler in before.items():
                signal.signal(each, handler)
        if signal.SIGINT in self._signals:
            raise KeyboardInterrupt
        return code

    def _obey(self, signum: int, _: FrameType | None) -> None:
        if os.getpid() != self._pid:
            # A copy of this process that is no worker yet.
            signal.signal(signum, signal.SIG_DFL)
            os.kill(os.getpid(), signum)
        self._signals.append(signum)
        self._ring.send_bytes(b"!")

    def _work(self, announce: Callable[[], object]) -> int:
        while not self._is_told_to_stop():
            self._wait(_LOOK)
            if signal.SIGHUP in self._signals:
                self._signals.remove(signal.SIGHUP)
                self._spend_all()
            if not self._bury():
                return 1
            self._renew()
            if not self._has_begun and all(
                each.worker and each.worker.serves for each in self._slots
            ):
                self._has_begun = True
                announce()
        return 0

    def _is_told_to_stop(self) -> bool:
        return signal.SIGTERM in self._signals or signal.SIGINT in self._signals

    def _wait(self, timeout: float) -> None:
        """Wait for the end of a process, for news of one, for a signal, or for ``timeout``."""
        sentinels = [each.process.sentinel for each in self._workers()]
        for ready in wait([self._bell, self._news, *sentinels], timeout):
            if ready is self._bell:
                self._bell.recv_bytes()
            elif ready is self._news:
                self._hear(*self._news.recv())

    def _workers(self) -> Iterator[Worker]:
        for slot in self._slots:
            yield from (each for each in (slot.worker, slot.successor) if each is not None)
        yield from self._leaving

    def _hear(self, pid: int, news: News) -> None:
        for slot in self._slots:
            for worker in (slot.worker, slot.successor):
                if worker is None or worker.pid != pid:
                    continue
                if news == "spent":
                    worker.spent = True
                    continue
                worker.serves = True
                if worker is slot.successor:
                    self._succeed(slot)

    def _succeed(self, slot: Slot) -> None:
        old, slot.worker, slot.successor = slot.worker, slot.successor, None
        if old is not None:
            self._let_go(old)

    def _let_go(self, worker: Worker) -> None:
        worker.process.terminate()
        worker.deadline = clock.perf() + self._settings.graceful_timeout + MARGIN
        self._leaving.append(worker)

    def _bury(self) -> bool:
        """Deal with processes that have ended; return whether to go on."""
        for worker in list(self._leaving):
            if not worker.process.is_alive():
                worker.process.join()
                self._leaving.remove(worker)
            elif worker.deadline is not None and clock.perf() > worker.deadline:
                warn(f"Worker {worker.pid} did not end in time and is killed.")
                worker.process.kill()
        goes_on = [self._bury_in(slot) for slot in self._slots]
        return all(goes_on)

    def _bury_in(self, slot: Slot) -> bool:
        for worker in (slot.worker, slot.successor):
            if worker is None or worker.process.is_alive():
                continue
            worker.process.join()
            if worker is slot.worker:
                slot.worker = None
            else:
                slot.successor = None
            pause = slot.failed(worker)
            if not worker.serves and not any(each.serves for each in self._workers()):
                # There is nothing to keep up, and it would fail in the same way again.
                return False
            if self._has_begun:
                again = f"in {pause:.0f} s" if pause else "now"
                warn(f"{_how(worker)} Another one is started {again}.")
            elif not worker.serves:
                return False
        return True

    def _renew(self) -> None:
        """Start what is missing, and one successor at a time."""
        now = clock.perf()
        for slot in self._slots:
            if slot.worker is None and slot.successor is None and now >= slot.not_before:
                slot.worker = self._start(slot)
        if not self._has_begun or any(each.successor is not None for each in self._slots):
            return
        for slot in self._slots:
            worker = slot.worker
            if worker is None or not worker.serves or now < slot.not_before:
                continue
            if worker.spent or worker.is_due(self._settings.renewal):
                self._replace(slot, worker)
                return

    def _replace(self, slot: Slot, worker: Worker) -> None:
        worker.spent = True
        if self._starts[slot.number] is self._extra:
            # Two of these would take each other's packets: the next one starts when it has ended.
            self._let_go(worker)
            slot.worker = None
        else:
            slot.successor = self._start(slot)

    def _spend_all(self) -> None:
        for worker in self._workers():
            worker.spent = True

    def _start(self, slot: Slot) -> Worker:
        process = self._starts[slot.number](slot.number, self._report)
        # Ctrl-C reaches the workers too. Until they know what to do about it they ignore it.
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            process.start()
        finally:
            signal.signal(signal.SIGINT, before)
        is_extra = self._starts[slot.number] is self._extra
        return Worker(process, expires=None if is_extra else expiry(self._settings.renewal))

    def _end(self) -> None:
        """End all processes; those that take too long, and all at a second signal, are killed."""
        # Else who comes now would wait for an answer from nobody.
        self._sock.close()
        workers = list(self._workers())
        for worker in workers:
            if worker.process.is_alive():
                worker.process.terminate()
        self._leaving.clear()
        told = len(self._signals)
        deadline = clock.perf() + self._settings.graceful_timeout + MARGIN
        while alive := [each for each in workers if each.process.is_alive()]:
            left = deadline - clock.perf()
            if left <= _NOW or len(self._signals) > told:
                for worker in alive:
                    warn(f"Worker {worker.pid} has not ended and is killed.")
                    worker.process.kill()
                break
            wait([self._bell, *(each.process.sentinel for each in alive)], left)
            if self._bell.poll():
                self._bell.recv_bytes()
        for worker in workers:
            worker.process.join()


def _obeyed() -> list[signal.Signals]:
    found = [signal.SIGINT, signal.SIGTERM]
    # With a terminal it says that the terminal is gone; and under nohup it says nothing.
    has_terminal = sys.stdin is not None and sys.stdin.isatty()
    if not has_terminal and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        found.append(signal.SIGHUP)
    return found


def _how(worker: Worker) -> str:
    code = worker.process.exitcode or 0
    if code < 0:
        return f"Worker {worker.pid} was ended by {signal.Signals(-code).name}."
    return f"Worker {worker.pid} ended by itself, with exit code {code}."
