"""What a worker and its store say to each other, also where it is not known whether that arrived."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from uuid import UUID

from oxidite import clock
from oxidite.instrument import event
from oxidite.queue.base import Filter, JobState, Outcome, Ready
from oxidite.queue.places import Places
from oxidite.queue.queue import Queue

__all__ = ["Exchanges"]

_logger = logging.getLogger("oxidite.queue")

_RUNNING = frozenset((JobState.RUNNING,))
_CLAIMED = UUID(int=0)
"""Stands among the outcomes that may have arrived for the jobs that may have been claimed."""


class Exchanges:
    """The exchanges of the worker that is called ``name`` in the store, and has ``places``."""

    def __init__(self, queue: Queue, name: str, places: Places) -> None:
        self.heard_at: float = clock.perf()
        """When the store was heard last, by ``clock.perf``."""
        self._queue = queue
        self._name = name
        self._places = places
        self._unsure: set[UUID] = set()

    async def exchange(self, queues: Sequence[str], limit: int) -> list[Ready]:
        """Hand in what has ended, and return up to ``limit`` jobs that were claimed."""
        places = self._places
        ended, places.outcomes = places.outcomes, []
        try:
            claim = await self._queue.store.exchange(self._name, ended, queues, limit)
        except BaseException:
            # It is not known whether they arrived; the second time they do nothing.
            places.outcomes = ended + places.outcomes
            self._unsure.update(each.id for each in ended)
            self._unsure.add(_CLAIMED)
            raise
        self.heard_at = clock.perf()
        self._note_refused(claim.refused)
        return claim.jobs

    async def reconcile(self) -> None:
        """Give back jobs that were claimed by an exchange whose answer was lost: nobody runs them."""
        if not self._unsure:
            return
        async for job in self._queue.store.find(Filter(states=_RUNNING)):
            if job.worker == self._name and not self._places.holds(job.id, job.attempt):
                back = Outcome(id=job.id, attempt=job.attempt, kind="returned")
                self._places.outcomes.append(back)
        self._unsure.clear()

    async def regain(self, about: bytes, lease: float) -> None:
        """Become known again, once the lease had lapsed; what is another's by now is ended here."""
        store, places = self._queue.store, self._places
        await store.enter(self._name, about, lease)
        # Others may have begun it.
        places.give_back(everything=True)
        running = {job.id: job for each in set(places.running.values()) for job in each.jobs}
        for stored in await store.get(list(running)):
            if stored is None or stored.id not in running:
                continue
            is_ours = stored.worker == self._name and stored.state is JobState.RUNNING
            if not is_ours or stored.attempt != running[stored.id].attempt:
                places.cancel(stored.id, "returned")
        self._unsure.add(_CLAIMED)

    def _note_refused(self, refused: Sequence[UUID]) -> None:
        for id in refused:
            if id in self._unsure:  # it had arrived the first time
                continue
            _logger.warning("job %s ran elsewhere meanwhile; what became of it here is void", id)
            event("queue.refused", job=str(id))
