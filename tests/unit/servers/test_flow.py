from __future__ import annotations

import asyncio

import pytest
from hypercorn.asyncio.worker_context import EventWrapper
from hypercorn.protocol.h2 import BUFFER_HIGH_WATER

from oxidite.servers.flow import FlowBuffer

FRAME = 16_384


@pytest.fixture
def buffer() -> FlowBuffer:
    return FlowBuffer(EventWrapper)


async def turn() -> None:
    """Let a task run as far as it can."""
    for _ in range(3):
        await asyncio.sleep(0)


async def test_a_writer_waits_while_the_window_of_its_reader_is_shut(buffer: FlowBuffer) -> None:
    data = bytes(range(256)) * (BUFFER_HIGH_WATER // 256)
    writer = asyncio.create_task(buffer.push(data))
    for _ in range(5):
        await turn()
        assert await buffer.pop(0) == b""
    taken = await buffer.pop(10)
    await turn()
    assert not writer.done()

    while not writer.done():
        taken += await buffer.pop(FRAME)
        await turn()
    assert len(buffer.buffer) < FRAME
    assert taken + await buffer.pop(len(data)) == data


async def test_what_is_little_does_not_wait(buffer: FlowBuffer) -> None:
    await buffer.push(b"hello")

    assert await buffer.pop(2) == b"he"
    assert await buffer.pop(100) == b"llo"


async def test_a_buffer_is_drained_when_the_last_of_it_is_taken(buffer: FlowBuffer) -> None:
    await buffer.push(b"hello")
    drained = asyncio.create_task(buffer.drain())
    await buffer.pop(4)
    await turn()
    assert not drained.done()

    await buffer.pop(4)
    await turn()
    assert drained.done()
