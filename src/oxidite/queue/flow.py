"""What follows a job, as the job carries it: the rest of a chain."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from msgspec import Struct

from oxidite.encoding import Codec, codec_for, encode_msgpack
from oxidite.queue.base import NewJob, Ready
from oxidite.queue.groups import group_of
from oxidite.queue.task import Link

__all__ = ["encoded", "next_of"]


class _Link(Struct, frozen=True, kw_only=True):
    id: UUID
    task: str
    args: bytes
    takes: str | None
    version: int
    queue: str
    priority: int
    delay: float
    timeout: float
    keep: float
    group: str | None
    at: float | None = None


_codec: Codec[list[_Link]] = codec_for(list[_Link])
_plain: Codec[dict[str, Any]] = codec_for(
    dict[str, Any]
)  # Any: of tasks that are not imported here


def encoded(links: Sequence[Link]) -> bytes:
    """Return links as a job carries them."""
    if not links:
        return b""
    return encode_msgpack(
        [
            _Link(
                id=link.id,
                task=link.task.name,
                args=link.args,
                takes=link.takes,
                version=link.task.version,
                queue=link.options.queue,
                priority=link.options.priority,
                delay=link.options.delay,
                timeout=link.options.timeout,
                keep=link.options.keep,
                group=group_of(link),
                at=None if link.options.at is None else link.options.at.timestamp(),
            )
            for link in links
        ]
    )


def next_of(ready: Ready, result: object) -> tuple[NewJob, ...]:
    """Return the job that follows one that is completed, if any does."""
    if not ready.flow:
        return ()
    first, *rest = _codec.decode_msgpack(ready.flow)
    args = _plain.decode_msgpack(first.args)
    if first.takes is not None:
        args = {first.takes: result, **args}
    job = NewJob(
        id=first.id,
        queue=first.queue,
        task=first.task,
        args=encode_msgpack(args),
        version=first.version,
        priority=first.priority,
        delay=first.delay,
        at=first.at,
        timeout=first.timeout,
        keep=first.keep,
        group=first.group,
        batch=ready.batch,
        context=ready.context,
        flow=encode_msgpack(rest) if rest else b"",
    )
    return (job,)
