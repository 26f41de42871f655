"""Encrypted jobs: what a store has of them says nothing to who has no secret.

Encrypted are the arguments of a job, what it takes along, what follows it, how far it is, what it has saved,
its result and its errors: all that is data of the application. Each is bound to its job and to what it is
there, so what is moved to another job, or within one, is refused as what was changed is. Where a store looks
itself, it has to see: the task, the queue, times, counts, the group, the batch.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import blake2b

from msgspec import structs

from oxidite.encoding import encode_msgpack
from oxidite.queue.base import BatchState, NewBatch, NewJob, Outcome, Ready, Signal, StoredJob
from oxidite.queue.errors import JobUnreadableError
from oxidite.security import SecretLike
from oxidite.security.sealing import Sealer, UnsealableError
from oxidite.security.signing import hkdf, secrets_of

__all__ = ["Sealing", "check_readable", "is_sealed"]

_MARK = b"\xc1ox"
"""What is encrypted begins with it: no MessagePack begins with the first of these bytes."""

_ENCRYPTED = "It is encrypted, and this queue has no secret: Queue.from_url(…, secret=…)."
_UNKNOWN = (
    "It is encrypted with a secret that this queue does not have. Give it that one, too: "
    "secret=[newest, …, oldest]."
)
_CHANGED = "What the store has is not what was written there: it was changed, or is another job's."
_PLAIN = (
    "It is not encrypted, and this queue has a secret. If it was pushed before there was one, let the queue "
    "take such jobs: allow_plain=True."
)


def is_sealed(data: bytes | None) -> bool:
    """Tell whether something out of a store is encrypted still, as its secret is not known here."""
    return data is not None and data.startswith(_MARK)


def check_readable(ready: Ready) -> None:
    """Refuse a job whose data cannot be read here.

    Raises:
        JobUnreadableError: the message says why.
    """
    if ready.trouble is not None:
        raise JobUnreadableError(ready.trouble)
    if is_sealed(ready.args):
        raise JobUnreadableError(_ENCRYPTED)


class Sealing:
    """Encrypts jobs with the first of several secrets, and reads what any of them has encrypted.

    What is not encrypted is refused unless it ``allow_plain``: else who can write to the store could have any
    task run with any arguments.

    Raises:
        ConfigError: a secret is too short, or there is none in the list.
        MissingExtraError: ``cryptography`` is not installed.
    """

    def __init__(
        self, secret: SecretLike | Sequence[SecretLike], *, allow_plain: bool = False
    ) -> None:
        secrets = secrets_of(secret)
        self._sealer = Sealer(secrets, purpose="oxidite.queue", needed_by="An encrypted queue")
        self._hashing = [hkdf(each, info=b"oxidite.queue unique keys") for each in secrets]
        self._allow_plain = allow_plain

    def digest(self, data: bytes) -> bytes:
        """Return 16 bytes that are the same for the same data; nobody without the secret can try which."""
        return self.digests(data)[0]

    def digests(self, data: bytes) -> list[bytes]:
        """Return what ``digest`` does by each of the secrets, the newest first."""
        return [blake2b(data, key=each, digest_size=16).digest() for each in self._hashing]

    def seal(self, data: bytes, *about: object) -> bytes:
        """Encrypt data; it can be read again by who says the same of it."""
        return _MARK + self._sealer.seal(data, encode_msgpack(about))

    def open(self, data: bytes, *about: object) -> bytes:
        """Read what ``seal`` made.

        Raises:
            JobUnreadableError: its secret is not known, or it is not what was written there.
        """
        if not is_sealed(data):
            if self._allow_plain:
                return data
            raise JobUnreadableError(_PLAIN)
        try:
            return self._sealer.open(data[len(_MARK) :], encode_msgpack(about))
        except UnsealableError as exc:
            raise JobUnreadableError(_UNKNOWN if exc.is_foreign else _CHANGED) from exc

    def is_newest(self, data: bytes) -> bool:
        """Tell whether something is encrypted with the secret that writes now."""
        return is_sealed(data) and self._sealer.is_newest(data[len(_MARK) :])

    # Into a store

    def new(self, job: NewJob) -> NewJob:
        """Return a job as a store is to have it."""
        bond = b"" if job.unique is None else job.unique.key
        return structs.replace(
            job,
            args=self._sealed_args(job.args, bond or job.id.bytes, job.task),
            context=self.seal(bytes([len(bond)]) + bond + job.context, "context", job.id.bytes),
            # Whether anything follows is no secret: a batch that waits for a chain asks the store for it.
            flow=job.flow and self.seal(job.flow, "flow", job.id.bytes),
        )

    def batch(self, batch: NewBatch) -> NewBatch:
        """Return a batch as a store is to have it."""
        return structs.replace(
            batch,
            success=tuple(map(self.new, batch.success)),
            failure=tuple(map(self.new, batch.failure)),
            always=tuple(map(self.new, batch.always)),
            about=batch.about and self.seal(batch.about, "batch", batch.id.bytes),
        )

    def outcome(self, outcome: Outcome) -> Outcome:
        """Return what became of a job as a store is to have it."""
        id = outcome.id.bytes
        return structs.replace(
            outcome,
            result=None if outcome.result is None else self.seal(outcome.result, "result", id),
            error=None if outcome.error is None else self.seal(outcome.error, "error", id),
            then=tuple(map(self.new, outcome.then)),
        )

    def signal(self, signal: Signal) -> Signal:
        """Return an event as a store is to have it."""
        return structs.replace(signal, value=self.seal(signal.value, "event", signal.event))

    def args_of(self, job: StoredJob, args: bytes) -> bytes:
        """Return other arguments for a job of a store.

        Raises:
            JobUnreadableError: the rest of the job cannot be read, so it would not run with these either.
        """
        bond, _ = self._context(job.context, job.id.bytes)
        return self._sealed_args(args, bond or job.id.bytes, job.task)

    def _sealed_args(self, args: bytes, bond: bytes, task: str) -> bytes:
        # A job that is not wanted twice gives its arguments to the one in its way: such jobs have them bound
        # to the key that they share. The context, which stays, says which key that is.
        return self.seal(args, "args", bond, task)

    def _context(self, data: bytes, id: bytes) -> tuple[bytes, bytes]:
        """Return what the arguments of a job are bound to, if not to its id, and its context."""
        opened = self.open(data, "context", id)
        if not is_sealed(data):
            return b"", opened
        end = 1 + opened[0]
        return opened[1:end], opened[end:]

    # Out of a store

    def ready(self, ready: Ready) -> Ready:
        """Return a job as its worker has it; ``trouble`` says if it cannot be read."""
        id = ready.id.bytes
        try:
            bond, context = self._context(ready.context, id)
            return structs.replace(
                ready,
                args=self.open(ready.args, "args", bond or id, ready.task),
                context=context,
                flow=ready.flow and self.open(ready.flow, "flow", id),
                state=None if ready.state is None else self.open(ready.state, "state", id),
            )
        except JobUnreadableError as exc:
            return structs.replace(
                ready, args=b"", context=b"", flow=b"", state=None, trouble=exc.message
            )

    def stored(self, job: StoredJob) -> StoredJob:
        """Return a job as people see it; what cannot be read is as ``is_sealed`` knows it."""
        id = job.id.bytes
        try:
            bond, context = self._context(job.context, id)
        except JobUnreadableError:
            bond, context = b"", _MARK
        return structs.replace(
            job,
            args=self._opened(job.args, "args", bond or id, job.task),
            context=context,
            flow=job.flow and self._opened(job.flow, "flow", id),
            progress=None if job.progress is None else self._opened(job.progress, "progress", id),
            result=None if job.result is None else self._opened(job.result, "result", id),
            saved=None if job.saved is None else self._opened(job.saved, "state", id),
            waits_for=None if job.waits_for is None else self._opened(job.waits_for, "waits", id),
            errors=list(self._errors(job.errors, id)),
        )

    def batch_state(self, batch: BatchState) -> BatchState:
        """Return how far a batch is, as people see it."""
        about = batch.about and self._opened(batch.about, "batch", batch.id.bytes)
        return structs.replace(batch, about=about)

    def _opened(self, data: bytes, *about: object) -> bytes:
        try:
            return self.open(data, *about)
        except JobUnreadableError:
            return _MARK

    def _errors(self, errors: Iterable[bytes], id: bytes) -> Iterable[bytes]:
        for each in errors:
            # A worker without the secret has none to say so with.
            yield self._opened(each, "error", id) if is_sealed(each) else each
