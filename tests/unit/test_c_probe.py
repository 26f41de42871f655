import asyncio, pytest
async def inner(stalled):
    async def agen():
        yield 1
        stalled.set()
        await asyncio.Event().wait()
    try:
        async for _ in agen(): pass
    except BaseException:
        await asyncio.sleep(0)
        raise
async def inner2(stalled):
    try:
        stalled.set()
        await asyncio.Event().wait()
    except BaseException:
        raise
async def inner3(stalled):
    try:
        stalled.set()
        await asyncio.Event().wait()
    except BaseException:
        await asyncio.sleep(0)
        raise
@pytest.mark.parametrize("f",[inner,inner2,inner3])
async def test_x(f):
    stalled=asyncio.Event()
    task = asyncio.create_task(f(stalled))
    await stalled.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
@pytest.mark.parametrize("f",[inner,inner2,inner3])
async def test_y(f):
    stalled=asyncio.Event()
    task = asyncio.create_task(f(stalled))
    await stalled.wait()
    task.cancel()
    try:
        await task
    except asyncio.CancelledError: pass
    else: assert 0
