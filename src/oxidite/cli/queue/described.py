"""A job as commands show it: decoded, and without its secrets."""

from __future__ import annotations

from msgspec import structs

from oxidite.cli.masked import decoded, masked
from oxidite.cli.moments import iso
from oxidite.encoding import to_plain
from oxidite.queue import JobState, Queue, StoredJob, failures_of, last_failure
from oxidite.queue.events import event_of
from oxidite.queue.sealing import is_sealed
from oxidite.queue.steps import names_of
from oxidite.security.redact import Redactor

__all__ = ["brief", "described", "error_of"]


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
    masked(decoded(job.args), redactor)
    return redactor.text(last_failure(job).summary)


def described(queue: Queue, job: StoredJob) -> dict[str, object]:
    """Return all that is known of a job; what is ``encrypted`` with a secret that is not known here is not."""
    redactor = Redactor()
    arguments = masked(_arguments(queue, job), redactor)
    result = masked(_decoded(job.result), redactor)
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
        progress=_decoded(job.progress),
        encrypted=any(map(is_sealed, (job.args, job.progress, job.result, job.saved))),
        arguments=arguments,
        result=result,
        errors=errors,
        steps=[] if is_sealed(job.saved) else names_of(job.saved),
        waits_for=_awaited(job.waits_for),
    )
    return known


def _awaited(about: bytes | None) -> object:
    if about is None:
        return None
    return {"name": None, "key": None} if is_sealed(about) else structs.asdict(event_of(about))


def _decoded(data: bytes | None) -> object:
    return None if data is None or is_sealed(data) else decoded(data)


def _arguments(queue: Queue, job: StoredJob) -> object:
    """Return the arguments of a job: as its task has them, or as they are kept if that is not known."""
    if is_sealed(job.args):
        return None
    try:
        return to_plain(queue.tasks.find(job.task).upgraded(job.args, job.version))
    except Exception:  # noqa: BLE001 - the module of the task is imported, which may raise anything
        return decoded(job.args)
