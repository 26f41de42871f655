"""What happens, as jobs in memory wait for it."""

from __future__ import annotations

from uuid import UUID

from oxidite import clock
from oxidite.queue.base import JobState, Signal
from oxidite.queue.stores.memory.jobs import Listening, is_parked
from oxidite.queue.stores.memory.working import Working

__all__ = ["Events"]


class Events(Working):
    """What has happened, until when that is kept, and who waits."""

    def __init__(self) -> None:
        super().__init__()
        self._events: dict[bytes, tuple[bytes, float]] = {}

    async def signal(self, signal: Signal) -> int:
        """Keep an event, and wake the jobs that wait for it."""
        now = clock.timestamp()
        self._events[signal.event] = signal.value, now + signal.keep
        woken = 0
        for job in self._jobs.values():
            awaited = job.listening
            if awaited is None or awaited.event != signal.event or awaited.value is not None:
                continue
            if is_parked(job) and job.due_at > now:
                woken += 1
                self._wait(job, now)
            awaited.value = signal.value
        self._wake()
        return woken

    async def listen(
        self, id: UUID, attempt: int, event: bytes, about: bytes, within: float
    ) -> bytes | None:
        """Return the value of an event, or have a job given it."""
        job = self._jobs.get(id)
        if job is None or job.state is not JobState.RUNNING or job.attempt != attempt:
            return None
        before = job.listening
        if before is not None and before.event == event and before.value is not None:
            return before.value
        value, until = self._events.get(event, (None, 0.0))
        job.listening = Listening(event, about, value if until > clock.timestamp() else None)
        return job.listening.value

    def _forget_events(self, now: float) -> None:
        for event in [event for event, (_, until) in self._events.items() if until <= now]:
            del self._events[event]
