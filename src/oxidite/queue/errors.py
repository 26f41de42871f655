"""Errors of jobs."""

from __future__ import annotations

from collections.abc import Sequence

from oxidite.errors import ConfigError, NotFoundError, OxiditeError

__all__ = [
    "JobArgumentsError",
    "JobCancelledError",
    "JobFailedError",
    "JobLostError",
    "JobNotFoundError",
    "JobProcessError",
    "JobStepNotFoundError",
    "JobTimeoutError",
    "JobTooLargeError",
    "JobUnreadableError",
    "TaskError",
]


class TaskError(ConfigError):
    """A function cannot be a task as it is written: fix the program."""

    code = "task"


class JobArgumentsError(OxiditeError):
    """The arguments of a job do not fit the task."""

    code = "job_arguments"

    def __init__(self, task: str, problems: Sequence[str]) -> None:
        told = "; ".join(each.removesuffix(".") for each in problems)
        super().__init__(f"{task} cannot be given these arguments: {told}.")
        self.problems: list[str] = list(problems)


class JobTooLargeError(OxiditeError):
    """The arguments or the result of a job are larger than a job may carry."""

    code = "job_too_large"


class JobUnreadableError(OxiditeError):
    """A job is encrypted with a secret that is not known here, or is not what was written: see the message."""

    code = "job_unreadable"


class JobNotFoundError(NotFoundError):
    """There is no such job, or no longer: 404 in a handler."""

    code = "job_not_found"


class JobStepNotFoundError(NotFoundError):
    """A job has not come to a step of that name."""

    code = "job_step_not_found"


class JobFailedError(OxiditeError):
    """The job whose result is awaited has failed for good."""

    code = "job_failed"


class JobCancelledError(OxiditeError):
    """The job whose result is awaited was cancelled."""

    code = "job_cancelled"


class JobTimeoutError(OxiditeError, TimeoutError):
    """The job has not ended within its time limit."""

    code = "job_timeout"


class JobLostError(OxiditeError):
    """A job goes on that is another's by now: its worker was held up past its lease, or the job was ended."""

    code = "job_lost"


class JobProcessError(OxiditeError):
    """The process of a job has ended before the job had."""

    code = "job_process"
