from __future__ import annotations

import asyncio

import pytest

from oxidite.protocols.readahead import Message, ReadAhead

GONE: Message = {"type": "http.disconnect"}
KIB = 1024


def piece(size: int, *, more: bool = True) -> Message:
    return {"type": "http.request", "body": b"x" * size, "more_body": more}


class Server:
    """Gives what it was told to give, and counts."""

    def __init__(self) -> None:
        self.messages: asyncio.Queue[Message] = asyncio.Queue()
        self.taken = 0

    async def receive(self) -> Message:
        message = await self.messages.get()
        self.taken += 1
        return message

    def send(self, *messages: Message) -> None:
        for message in messages:
            self.messages.put_nowait(message)


@pytest.fixture
async def server() -> Server:
    return Server()


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def running(server: Server) -> tuple[ReadAhead, asyncio.Task[None]]:
    ahead = ReadAhead(server.receive)
    task = asyncio.ensure_future(ahead.run())
    await settle()
    return ahead, task


async def test_it_ends_with_the_client(server: Server) -> None:
    _, task = await running(server)
    server.send(piece(5), piece(5, more=False))
    await settle()
    assert not task.done()

    server.send(GONE)
    await asyncio.wait_for(task, 1)


async def test_a_late_reader_gets_what_was_read(server: Server) -> None:
    ahead, task = await running(server)
    server.send(piece(1), piece(2), piece(3, more=False), GONE)
    await asyncio.wait_for(task, 1)

    assert [len((await ahead())["body"]) for _ in range(3)] == [1, 2, 3]


async def test_who_reads_after_the_client_has_gone_is_told_again_and_again(server: Server) -> None:
    ahead, task = await running(server)
    server.send(GONE)
    await asyncio.wait_for(task, 1)

    assert await ahead() == GONE
    assert await ahead() == GONE


async def test_a_reader_waits_for_what_comes(server: Server) -> None:
    ahead, task = await running(server)
    reader = asyncio.ensure_future(ahead())
    await settle()
    assert not reader.done()

    server.send(piece(7))
    assert len((await asyncio.wait_for(reader, 1))["body"]) == 7
    task.cancel()


async def test_a_reader_that_has_come_sets_the_pace(server: Server) -> None:
    ahead, task = await running(server)
    server.send(piece(1))
    assert len((await ahead())["body"]) == 1

    server.send(*[piece(32 * KIB) for _ in range(100)], GONE)
    await settle()
    before = server.taken
    assert before < 6

    sizes = [len((await ahead()).get("body", b"")) for _ in range(101)]
    assert sizes == [32 * KIB] * 100 + [0]
    await asyncio.wait_for(task, 1)


async def test_what_nobody_reads_is_not_kept(server: Server) -> None:
    ahead, task = await running(server)
    server.send(*[piece(32 * KIB) for _ in range(100)], piece(0, more=False))
    for _ in range(20):
        await settle()

    assert server.taken == 101
    assert not ahead._messages
    with pytest.raises(RuntimeError, match="was not read, and most of it is gone"):
        await ahead()

    server.send(GONE)
    await asyncio.wait_for(task, 1)
