"""The places of a worker: which jobs run, which wait for a place, and what became of those that ran."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from typing import Literal
from uuid import UUID

from oxidite import clock
from oxidite.instrument import event
from oxidite.queue.base import Outcome, OutcomeKind, Ready
from oxidite.queue.chunks import Chunks
from oxidite.queue.runner import Runner, Running

__all__ = ["Places"]

_logger = logging.getLogger("oxidite.queue")

_AHEAD = 0.05  # seconds of work that may be claimed before there is a place for it
_MOST_AHEAD = 200  # jobs
_WEIGHT = 0.1  # of the newest job in what is held for the usual time of one
_LONGEST_WAIT = 1.0  # seconds a claimed job waits for a place before others may have it


class Places:
    """Up to ``size`` jobs that run, and those that were claimed ahead of that.

    A job that would be given up if its worker ended once more, the ``poison`` th time, runs alone, so that no
    other is blamed for it; sooner it is not, as a killed worker leaves many that are to run again at once. One
    that does not end ``grace`` seconds after its time limit, as no thread can be stopped, is given up: what
    it comes to no longer counts, and its place is not free before it has ended.
    """

    def __init__(
        self,
        runner: Runner,
        size: int,
        *,
        ahead: int | Literal["auto"],
        grace: float,
        poison: int,
        ended: Callable[[], None],
    ) -> None:
        self.size: int = size
        self.outcomes: list[Outcome] = []
        """What became of jobs, and the store does not know yet."""
        self.running: dict[UUID, Running] = {}
        self.abandoned: list[Running] = []
        self.done: int = 0
        self._runner = runner
        self._ahead = ahead
        self._grace = grace
        self._poison = poison
        self._ended = ended
        self._taken = 0
        self._waiting: deque[tuple[Ready, float]] = deque()
        self._chunks = Chunks(self.fill)
        self._suspects: deque[Ready] = deque()
        self._is_alone = False
        self._usual: float | None = None
        self._stopping = False

    @property
    def is_empty(self) -> bool:
        """Whether it has no job."""
        return not (self.running or self.waiting)

    @property
    def waiting(self) -> int:
        """How many were claimed and have not begun."""
        return len(self._waiting) + len(self._suspects) + len(list(self._chunks))

    @property
    def ahead(self) -> int:
        """How many of these only wait for a place."""
        return len(self._waiting)

    @property
    def room(self) -> int:
        """How many more jobs may be claimed."""
        if self._suspects or self._is_alone or self._stopping:
            return 0
        # What is collected for a chunk takes no place before that is full.
        taken = self._taken + len(self.abandoned)
        free = self.size - taken - len(self._waiting) - len(self._chunks.full)
        # With every place given up there is nowhere for what is claimed ahead.
        ahead = self._claimed_ahead() if len(self.abandoned) < self.size else 0
        return max(free + ahead, 0)

    @property
    def left(self) -> float:
        """The seconds for which jobs may hold up the loop, 0 if there are none."""
        now = clock.perf()
        ends = [each.deadline for each in self.running.values()]
        ends += [now + ready.timeout for ready, _ in self._waiting]
        ends += [now + ready.timeout for ready in (*self._suspects, *self._chunks)]
        return max(max(ends) - now, 0.0) + self._grace if ends else 0.0

    def holds(self, id: UUID, attempt: int) -> bool:
        """Tell whether it has this attempt of a job, or what became of it."""
        running = self.running.get(id)
        known = {(each.id, each.attempt) for each in (running.jobs if running else ())}
        known.update((each.id, each.attempt) for each, _ in self._waiting)
        known.update((each.id, each.attempt) for each in (*self._suspects, *self._chunks))
        known.update((each.id, each.attempt) for each in self.outcomes)
        return (id, attempt) in known

    def take(self, jobs: Sequence[Ready]) -> None:
        """Take jobs that were claimed."""
        now = clock.perf()
        for ready in jobs:
            if ready.crashes and ready.crashes >= self._poison - 1:
                self._suspects.append(ready)
            else:
                self._waiting.append((ready, now))
        if self._suspects:
            # Not to be lost with the worker, if it is this time.
            self.give_back()
            self._give_back_chunks()

    def fill(self, *, is_told: bool = False) -> None:
        """Begin what there are places for; ``is_told``: the store knows of all that ended."""
        if self._stopping or self._is_alone:
            return
        if self._suspects:
            if is_told and not self.running and not self.outcomes:
                self._is_alone = True
                self._begin(self._suspects.popleft())
            return
        while self._taken + len(self.abandoned) < self.size:
            if self._chunks.full:
                self._begin(*self._chunks.full.popleft()[0])
                continue
            # Of a job that was lost with the lease, and came back at once, the former attempt ends first.
            found = next((each for each in self._waiting if each[0].id not in self.running), None)
            if found is None:
                return
            self._waiting.remove(found)
            ready, _ = found
            chunk = self._runner.chunk_of(ready)
            if chunk is None:
                self._begin(ready)
            else:
                self._chunks.add(*chunk, ready)

    def give_back(self, *, everything: bool = False) -> None:
        """Give back what waits for a place; of ``everything`` that has not begun, suspects and chunks, too."""
        while self._waiting:
            self._say(self._waiting.popleft()[0], "returned")
        if everything:
            self._give_back_chunks()
            while self._suspects:
                self._say(self._suspects.popleft(), "returned")

    def _give_back_chunks(self) -> None:
        for ready in self._chunks.clear():
            self._say(ready, "returned")

    def stop(self) -> None:
        """Begin nothing more."""
        self._stopping = True
        self.give_back(everything=True)
        for running in self.running.values():
            running.context.stopping = True

    def cancel(self, id: UUID, end: OutcomeKind) -> None:
        """End a job: ``cancelled`` or ``returned``."""
        if id in self.running:
            self.running[id].cancel(end, id)
            return
        collected = self._chunks.remove(id)
        if collected is not None:
            self._say(collected, end)
        for each in [each for each in self._waiting if each[0].id == id]:
            self._waiting.remove(each)
            self._say(each[0], end)
        for ready in [each for each in self._suspects if each.id == id]:
            self._suspects.remove(ready)
            self._say(ready, end)

    def check(self) -> None:
        """Give up jobs that do not end, free the places of those that have, and give back what waits long."""
        now = clock.perf()
        for running in dict.fromkeys(self.running.values()):
            if now >= running.deadline + self._grace:
                self._abandon(running, self._runner.late(running))
        before = len(self.abandoned)
        self.abandoned = [each for each in self.abandoned if not each.has_ended]
        if self._waiting and now - self._waiting[0][1] > _LONGEST_WAIT:
            self.give_back()
            self._ended()
        if self._chunks.full and now - self._chunks.full[0][1] > _LONGEST_WAIT:
            self._give_back_chunks()
            self._ended()
        if len(self.abandoned) < before:
            self.fill()
            self._ended()

    def abandon_all(self) -> None:
        """Give up what still runs, and give it back."""
        for running in dict.fromkeys(self.running.values()):
            self._abandon(
                running,
                [
                    Outcome(id=each.id, attempt=each.attempt, kind="returned")
                    for each in running.jobs
                ],
            )

    def _begin(self, *jobs: Ready) -> None:
        running = self._runner.running(*jobs)
        for each in jobs:
            self.running[each.id] = running
        self._taken += 1
        running.task = asyncio.create_task(self._runner.run(running), name=running.ready.task)
        running.task.add_done_callback(lambda task: self._finish(running, task))

    def _leave(self, running: Running) -> None:
        for each in running.jobs:
            del self.running[each.id]
        self._taken -= 1
        self._is_alone = False

    def _finish(self, running: Running, task: asyncio.Task[list[Outcome]]) -> None:
        if running.is_abandoned:
            return
        self._leave(running)
        self.done += len(running.jobs)
        if task.cancelled():
            # It was cancelled before it ran at all.
            for each in running.jobs:
                self._say(each, running.asked.get(each.id, running.end or "returned"))
        else:
            outcomes = task.result()
            self.outcomes += outcomes
            self._learn(outcomes[0].seconds)
        if running.context.is_in_thread:
            self._keep_place(running)
        self.fill()
        self._ended()

    def _abandon(self, running: Running, outcomes: Sequence[Outcome]) -> None:
        running.is_abandoned = True
        running.cancel("returned")
        self._leave(running)
        self.outcomes += outcomes
        self._keep_place(running)
        self._ended()

    def _keep_place(self, running: Running) -> None:
        self.abandoned.append(running)
        ready = running.ready
        event("queue.abandoned", job=str(ready.id), task=ready.task)
        _logger.error(
            "job %s of %s cannot be stopped: what it still does no longer counts, and its place is not "
            "free before it ends",
            ready.id,
            ready.task,
        )

    def _say(self, ready: Ready, kind: OutcomeKind) -> None:
        self.outcomes.append(Outcome(id=ready.id, attempt=ready.attempt, kind=kind))

    def _learn(self, seconds: float) -> None:
        usual = seconds if self._usual is None else self._usual
        # What is long is known at once, and what is short only after a while.
        self._usual = max(usual + (seconds - usual) * _WEIGHT, seconds if seconds > _AHEAD else 0.0)

    def _claimed_ahead(self) -> int:
        if isinstance(self._ahead, int):
            return self._ahead
        if self._usual is None:
            return 0
        return min(int(_AHEAD * self.size / max(self._usual, 1e-6)), _MOST_AHEAD)
