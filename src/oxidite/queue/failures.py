"""What is kept of an attempt that failed: for people, and to group what fails alike."""

from __future__ import annotations

import traceback
from hashlib import blake2b

from msgspec import Struct

from oxidite import clock
from oxidite.encoding import Codec, DecodeError, MismatchError, codec_for, encode_msgpack
from oxidite.queue.base import StoredJob
from oxidite.queue.sealing import is_sealed

__all__ = ["Failure", "failures_of", "last_failure"]

_LONGEST = 8000  # characters of a traceback, of which the end says the most
_MESSAGE = 1000


class Failure(Struct, frozen=True):
    """An error that ended an attempt. ``at`` is in seconds since 1970.

    ``fingerprint`` is the same for errors of one kind at one place, whatever their message says.
    """

    attempt: int
    kind: str
    message: str
    trace: str
    fingerprint: str
    at: float

    @property
    def summary(self) -> str:
        """The kind and the message, in one line."""
        return f"{self.kind}: {self.message}" if self.message else self.kind

    @classmethod
    def of(cls, error: BaseException, attempt: int) -> Failure:
        """Describe an error."""
        kind = f"{type(error).__module__}.{type(error).__qualname__}".removeprefix("builtins.")
        trace = "".join(traceback.format_exception(error))
        frames = traceback.extract_tb(error.__traceback__)
        where = f"{frames[-1].filename}:{frames[-1].name}" if frames else ""
        return cls(
            attempt,
            kind,
            _short(_message(error), _MESSAGE),
            _clean(trace[-_LONGEST:]),
            blake2b(f"{kind}|{where}".encode("utf-8", "replace"), digest_size=8).hexdigest(),
            clock.timestamp(),
        )

    @classmethod
    def said(cls, kind: str, message: str, attempt: int) -> Failure:
        """Describe a failure that is no exception."""
        digest = blake2b(kind.encode(), digest_size=8).hexdigest()
        return cls(attempt, kind, _short(message, _MESSAGE), "", digest, clock.timestamp())

    def encoded(self) -> bytes:
        """Return it as a store keeps it."""
        return encode_msgpack(self)


_codec: Codec[Failure] = codec_for(Failure)


def failures_of(job: StoredJob) -> list[Failure]:
    """Return what is kept of the attempts of a job that failed, the newest last."""
    found = []
    for each in job.errors:
        if is_sealed(each):
            reason = "the error is encrypted with a secret that is not known here"
            found.append(Failure.said("encrypted", reason, 0))
            continue
        try:
            found.append(_codec.decode_msgpack(each))
        except (DecodeError, MismatchError):
            found.append(Failure.said("unreadable", "what was kept of the error cannot be read", 0))
    return found


def last_failure(job: StoredJob) -> Failure:
    """Return the last of them; of a job whose workers ended with it, that."""
    known = failures_of(job)
    if known:
        return known[-1]
    return Failure.said("crashed", f"its worker ended {job.crashes} times in the middle of it", 0)


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as exc:  # noqa: BLE001 - an error of the application's, whose job is to end all the same
        return f"(its message cannot be made: {type(exc).__name__})"


def _clean(text: str) -> str:
    """Return a text without halves of characters, which nothing takes."""
    return text.encode("utf-8", "backslashreplace").decode()


def _short(text: str, longest: int) -> str:
    clean = _clean(text)
    return clean if len(clean) <= longest else f"{clean[: longest - 1]}…"
