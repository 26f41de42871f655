"""A job as commands show it: decoded, and without its secrets."""

from __future__ import annotations

from typing import Any

from msgspec import structs

from oxidite.cli.queue.moments import iso
from oxidite.encoding import Codec, DecodeError, MismatchError, codec_for, to_plain
from oxidite.queue import JobState, Queue, StoredJob, failures_of, last_failure
from oxidite.security.redact import MASK, Redactor, is_sensitive

__all__ = ["brief", "described", "error_of"]

_anything: Codec[object] = codec_for(object)


def brief(job: StoredJob) -> dict[str, object]:
    """Return of a job what a list has."""
    return {
        "id": job.id,
        "state": job.state,
        "task": job.task,
        "queue": job.queue,
        "priority": job.priority,
        "attempt": job.attempt,
        "failures": job.failures,
        "crashes": job.crashes,
        "pushed_at": iso(job.pushed_at),
        "due_at": iso(job.due_at),
        "started_at": iso(job.started_at),
        "ended_at": iso(job.ended_at),
        "worker": job.worker,
        "group": job.group,
        "batch": job.batch,
        "error": error_of(job),
    }


def error_of(job: StoredJob) -> str | None:
    """Return the last error of a job in a line, if it has one."""
    if not job.errors and job.state is not JobState.DEAD:
        return None
    redactor = Redactor()
    _masked(_decoded(job.args), redactor)
    return redactor.text(last_failure(job).summary)


def described(queue: Queue, job: StoredJob) -> dict[str, object]:
    """Return all that is known of a job."""
    redactor = Redactor()
    arguments = _masked(_arguments(queue, job), redactor)
    result = None if job.result is None else _masked(_decoded(job.result), redactor)
    errors = [
        {
            **structs.asdict(each),
            "at": iso(each.at),
            "message": redactor.text(each.message),
            "trace": redactor.text(each.trace),
        }
        for each in failures_of(job)
    ]
    known = brief(job)
    known.update(
        version=job.version,
        timeout=job.timeout,
        cancel_asked=job.cancel_asked,
        progress=None if job.progress is None else _decoded(job.progress),
        arguments=arguments,
        result=result,
        errors=errors,
    )
    return known


def _arguments(queue: Queue, job: StoredJob) -> object:
    """Return the arguments of a job: as its task has them, or as they are kept if that is not known."""
    try:
        return to_plain(queue.tasks.find(job.task).upgraded(job.args, job.version))
    except Exception:  # noqa: BLE001 - the module of the task is imported, which may raise anything
        return _decoded(job.args)


def _decoded(data: bytes) -> object:
    try:
        return to_plain(_anything.decode_msgpack(data))
    except (DecodeError, MismatchError, TypeError, RecursionError) as exc:
        return f"(cannot be read: {exc})"


def _masked(value: object, redactor: Redactor) -> Any:  # Any: whatever JSON has
    if isinstance(value, dict):
        return {name: _masked_field(name, each, redactor) for name, each in value.items()}
    if isinstance(value, list):
        return [_masked(each, redactor) for each in value]
    return redactor.text(value) if isinstance(value, str) else value


def _masked_field(name: object, value: object, redactor: Redactor) -> object:
    if not is_sensitive(name) or value is None or isinstance(value, bool):
        return _masked(value, redactor)
    redactor.learn(value)
    return MASK
