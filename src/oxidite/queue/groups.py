"""Which group a job is of: what limits by key count, and what takes turns in a queue that is fair."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any
from uuid import UUID

from oxidite.encoding import Codec, codec_for
from oxidite.queue.errors import JobArgumentsError
from oxidite.queue.options import LONGEST_GROUP, is_name
from oxidite.queue.task import Call, Link

__all__ = ["group_of"]

_plain: Codec[dict[str, Any]] = codec_for(dict[str, Any])  # Any: of whatever type arguments are


def group_of(job: Call[Any] | Link) -> str | None:
    """Return the group of a job: the one that was said, or else the value that its task says it is.

    Raises:
        JobArgumentsError: that value cannot be the name of a group.
    """
    by = job.options.group_by
    if job.options.group is not None or by is None:
        return job.options.group
    if isinstance(by, str):
        return _group(job, by, _argument(job, by))
    return _group(job, getattr(by, "__qualname__", type(by).__name__), by())


def _argument(job: Call[Any] | Link, name: str) -> object:
    signature = job.task.signature
    if isinstance(job, Call) or job.takes is None:
        return signature.decode(job.args)[name]
    # The result of the job before is not among them yet.
    values: Mapping[str, object] = _plain.decode_msgpack(job.args)
    return values[name] if name in values else signature.default(name)


def _group(job: Call[Any] | Link, source: str, value: object) -> str | None:
    """Return the name of the group that a value stands for; ``None`` is no group."""
    task = job.task.name
    plain = value.value if isinstance(value, Enum) else value
    if plain is None:
        return None
    if isinstance(plain, bool) or not isinstance(plain, (str, int, UUID)):
        problem = f"a {type(plain).__name__}; a group is text, a whole number or a UUID"
        raise JobArgumentsError(task, [f"group_by= takes {source}, {problem}"])
    name = str(plain)
    if not is_name(name, LONGEST_GROUP):
        problem = f"a group is printable, of 1 to {LONGEST_GROUP} characters, not {name!r:.100}"
        raise JobArgumentsError(task, [f"group_by= takes {source}, and {problem}"])
    return name
