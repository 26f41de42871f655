from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import tracemalloc
from collections.abc import AsyncIterator, Iterable
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oxidite import Oxidite, Request
from oxidite.errors import UnsupportedMediaTypeError
from oxidite.http import FileRule, FormLimitError, FormLimits, InvalidFormError, Part, Parts
from oxidite.http.form import parse_multipart
from oxidite.testing import Client

BOUNDARY = "x-boundary"
CONTENT_TYPE = f"multipart/form-data; boundary={BOUNDARY}"
END = f"--{BOUNDARY}--\r\n".encode()
PNG = b"\x89PNG\r\n\x1a\n"


def field(name: str, value: bytes) -> bytes:
    return f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'.encode() + (
        value + b"\r\n"
    )


def head(name: str, filename: str, type_: str = "image/png") -> bytes:
    return (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"; filename="{filename}"\r\n'
        f"Content-Type: {type_}\r\n\r\n"
    ).encode()


def file(name: str, filename: str, content: bytes) -> bytes:
    return head(name, filename) + content + b"\r\n"


class Body:
    """A body in pieces that counts how much of it was asked for."""

    def __init__(self, *pieces: Iterable[bytes]) -> None:
        self.pieces = pieces
        self.taken = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for pieces in self.pieces:
            for piece in pieces:
                self.taken += len(piece)
                yield piece


def parts(body: bytes, *, size: int = 65536, limits: FormLimits | None = None) -> Parts:
    pieces = (body[start : start + size] for start in range(0, len(body), size))
    return Parts(CONTENT_TYPE, Body(pieces), limits)


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


class TestParts:
    @pytest.mark.parametrize("size", [1, 7, 65536])
    async def test_they_come_in_order_with_their_names_and_types(self, size: int) -> None:
        body = field("title", b"a") + file("photo", "../a.png", PNG) + field("b", b"") + END
        seen: list[object] = []
        async for part in parts(body, size=size):
            seen.append((part.name, part.filename, part.raw_filename, part.content_type))
            seen.append((part.sniffed, await part.read(), part.size))
        assert seen == [
            ("title", None, None, "text/plain"),
            (None, b"a", 1),
            ("photo", "a.png", "../a.png", "image/png"),
            ("image/png", PNG, 8),
            ("b", None, None, "text/plain"),
            (None, b"", 0),
        ]

    async def test_what_is_left_of_a_part_is_skipped(self) -> None:
        body = file("f", "g", b"x" * 200_000) + field("a", b"1") + field("b", b"2") + END
        reading = aiter(parts(body, size=1000))
        first = await anext(reading)
        assert await anext(first) != b""
        await anext(reading)
        last = await anext(reading)
        assert (last.name, await last.text()) == ("b", "2")
        assert await last.text() == ""
        with pytest.raises(StopAsyncIteration):
            await anext(reading)

    async def test_a_part_that_was_left_behind_says_so(self) -> None:
        for part in (field("a", b"1"), file("a", "g", b"1")):
            reading = aiter(parts(part + file("b", "h", b"2") + END))
            first = await anext(reading)
            second = await anext(reading)
            with pytest.raises(RuntimeError, match="'a' was left behind"):
                await first.read()
            assert await second.read() == b"2"

    async def test_the_body_is_asked_for_when_a_piece_was_taken(self) -> None:
        body = Body([head("f", "g")], [b"x" * 1000] * 1000, [b"\r\n" + END])
        reading = aiter(Parts(CONTENT_TYPE, body))
        part = await anext(reading)
        assert body.taken < 2000
        for taken in range(1, 101):
            assert len(await anext(part)) == 1000
            assert body.taken < 2000 + 1000 * taken

    async def test_two_hundred_megabytes_take_no_memory_and_no_file(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("tempfile.TemporaryFile", None)  # whoever calls it fails
        block = b"x" * 65536
        body = Body([head("f", "g")], (block for _ in range(3200)), [b"\r\n" + END])
        digest, size = sha256(), 0
        tracemalloc.start()
        try:
            async for part in Parts(CONTENT_TYPE, body):
                async for piece in part:
                    size += len(piece)
                    digest.update(piece[:1])
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert size == 3200 * 65536
        assert peak < 1_000_000

    async def test_an_empty_file_input_is_left_out(self) -> None:
        reading = parts(file("f", "", b"") + file("g", "", b"x") + END)
        assert [(part.name, part.filename) async for part in reading] == [("g", "upload")]

    async def test_another_media_type_is_refused_at_once(self) -> None:
        with pytest.raises(UnsupportedMediaTypeError):
            Parts("application/json", Body())

    async def test_fields_are_limited_like_those_of_a_form(self) -> None:
        limits = FormLimits(max_fields=1, max_field_size=3, max_files=1, max_file_size=4)
        for body, name in [
            (field("a", b"") * 2, "max_fields"),
            (field("a", b"1234"), "max_field_size"),
            (file("f", "g", b"") * 2, "max_files"),
            (file("f", "g", b"12345"), "max_file_size"),
        ]:
            with pytest.raises(FormLimitError) as caught:
                [await part.read() async for part in parts(body + END, limits=limits)]
            assert caught.value.name == name
            assert caught.value.extra["limit"] == name

    async def test_a_skipped_part_is_limited_too(self) -> None:
        with pytest.raises(FormLimitError):
            async for _ in parts(field("a", b"1234") + END, limits=FormLimits(max_field_size=3)):
                pass

    @given(
        st.lists(
            st.tuples(
                st.text("ab~/", max_size=3),
                st.none() | st.text("ab.", min_size=1, max_size=4),
                st.text("\r\n-xé", max_size=30).map(str.encode),
            ),
            max_size=5,
        ),
        st.integers(1, 100),
    )
    def test_they_are_what_the_form_has(
        self, sent: list[tuple[str, str | None, bytes]], size: int
    ) -> None:
        body = END
        for name, filename, content in reversed(sent):
            part = field(name, content) if filename is None else file(name, filename, content)
            body = part + body

        async def run() -> None:
            found = [
                (part.name, part.raw_filename, await part.read())
                async for part in parts(body, size=size)
            ]
            assert found == sent

        asyncio.run(run())

    @given(
        st.lists(
            st.sampled_from([END, field("a", b"1"), file("f", "g", b"2"), b"\r\n", b"--", b"\0"])
            | st.binary(max_size=10),
            max_size=12,
        ),
        st.integers(1, 200),
    )
    def test_any_bytes_give_the_same_verdict_as_a_form(
        self, pieces: list[bytes], size: int
    ) -> None:
        async def streamed() -> object:
            try:
                return [
                    part.name
                    async for part in parts(b"".join(pieces), size=size)
                    if part.filename or await part.text() is not None
                ]
            except (InvalidFormError, FormLimitError) as exc:
                return str(exc)

        async def whole() -> object:
            try:
                form = await parse_multipart(CONTENT_TYPE, Body([b"".join(pieces)]))
            except (InvalidFormError, FormLimitError) as exc:
                return str(exc)
            return [name for name, _ in form.multi_items()]

        assert asyncio.run(streamed()) == asyncio.run(whole())


class TestPart:
    async def only(self, content: bytes, **limits: int) -> Part:
        body = file("f", "g.png", content) + END
        return await anext(aiter(parts(body, size=1000, limits=FormLimits(**limits))))

    async def test_reading_has_a_limit(self) -> None:
        assert await (await self.only(b"x" * 5000)).read(5000) == b"x" * 5000
        with pytest.raises(FormLimitError, match="larger than 4999 bytes") as caught:
            await (await self.only(b"x" * 5000)).read(4999)
        assert caught.value.status == 413
        with pytest.raises(FormLimitError):
            await (await self.only(b"x" * 2_000_000)).read()

    async def test_text_is_utf_8_or_refused(self) -> None:
        assert await (await self.only("é".encode())).text() == "é"
        for content in (b"\xff", b"a\0b"):
            with pytest.raises(InvalidFormError):
                await (await self.only(content)).text()

    async def test_a_rule_is_checked_before_the_part_is_handed_out(self) -> None:
        body = Body([head("f", "g")], [b"x" * 1000] * 1000)
        rule = FileRule(types=["image/png"])
        with pytest.raises(Exception, match="'g' is text/plain by its content"):
            await anext(aiter(Parts(CONTENT_TYPE, body, files={"f": rule})))
        assert body.taken < 2000

    async def test_a_sink_gets_every_piece_and_stops_when_it_fails(self) -> None:
        class Sink:
            def __init__(self) -> None:
                self.data = b""

            async def write(self, data: bytes) -> None:
                if len(self.data) > 2500:
                    raise ConnectionError("the store is gone")
                self.data += data

        sink = Sink()
        assert await (await self.only(b"x" * 2000)).pipe(sink) == 2000
        assert sink.data == b"x" * 2000
        with pytest.raises(ConnectionError):
            await (await self.only(b"y" * 5000)).pipe(Sink())

    async def test_saving_writes_the_whole_content(self, tmp_path: Path) -> None:
        content = bytes(range(256)) * 4000
        assert await (await self.only(content)).save(tmp_path / "saved") == len(content)
        assert (tmp_path / "saved").read_bytes() == content
        assert await (await self.only(b"")).save(tmp_path / "empty") == 0
        assert names(tmp_path) == ["empty", "saved"]

    async def test_saving_never_overwrites_unless_asked(self, tmp_path: Path) -> None:
        (tmp_path / "there").write_bytes(b"old")
        with pytest.raises(FileExistsError):
            await (await self.only(b"new")).save(tmp_path / "there")
        assert (tmp_path / "there").read_bytes() == b"old"
        await (await self.only(b"new")).save(tmp_path / "there", overwrite=True)
        assert (tmp_path / "there").read_bytes() == b"new"
        assert names(tmp_path) == ["there"]

    async def test_a_body_that_breaks_off_leaves_no_file(self, tmp_path: Path) -> None:
        body = head("f", "g") + b"x" * 1_000_000
        part = await anext(aiter(parts(body)))
        with pytest.raises(InvalidFormError):
            await part.save(tmp_path / "saved")
        assert names(tmp_path) == []

    async def test_cancelling_leaves_no_file(self, tmp_path: Path) -> None:
        stalled = asyncio.Event()

        async def stalling() -> AsyncIterator[bytes]:
            yield head("f", "g") + b"x" * 1_000_000
            stalled.set()
            await asyncio.Event().wait()

        part = await anext(aiter(Parts(CONTENT_TYPE, stalling())))
        task = asyncio.create_task(part.save(tmp_path / "saved"))
        await stalled.wait()
        assert len(names(tmp_path)) == 1
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert names(tmp_path) == []

    async def test_cancelling_at_every_turn_of_the_loop_leaves_no_file(
        self, tmp_path: Path
    ) -> None:
        for turns in range(40):
            part = await self.only(b"x" * 600_000)
            task = asyncio.create_task(part.save(tmp_path / "saved"))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            # It may have been complete already: then it is there, and whole.
            with contextlib.suppress(asyncio.CancelledError):
                await task
            assert names(tmp_path) in ([], ["saved"])
            if names(tmp_path):
                assert (tmp_path / "saved").stat().st_size == 600_000
                (tmp_path / "saved").unlink()

    async def test_the_repr_says_what_it_is(self) -> None:
        assert repr(await self.only(b"1")) == "<Part 'f' image/png>"


class TestRequest:
    async def test_parts_are_read_in_a_handler(self) -> None:
        app = Oxidite()

        @app.post("/")
        async def read(request: Request) -> list[tuple[str, int]]:
            found = [(part.name, len(await part.read())) async for part in request.parts()]
            with pytest.raises(RuntimeError, match="streamed already"):
                await request.form()
            return found

        async with Client(app) as client:
            answer = await client.post("/", data={"a": "1"}, files={"f": ("g", b"12")})
            assert answer.json() == [["a", 1], ["f", 2]]

    async def test_a_form_may_be_left_before_its_end(self) -> None:
        app = Oxidite(max_body=10_000_000)

        @app.post("/")
        async def first(request: Request) -> str:
            async for part in request.parts():
                return part.name
            return ""

        async with Client(app) as client:
            answer = await client.post("/", data={"a": "1"}, files={"f": ("g", b"1" * 5_000_000)})
            assert answer.text == "a"

    async def test_the_limits_of_the_route_and_of_the_application_count(self) -> None:
        app = Oxidite(form_limits=FormLimits(max_fields=2))

        async def count(request: Request) -> int:
            return len([part async for part in request.parts()])

        app.post("/one", form_limits=FormLimits(max_fields=1))(count)
        app.post("/two")(count)
        async with Client(app) as client:
            for path, fields, status in [
                ("/one", "a", 200),
                ("/one", "ab", 413),
                ("/two", "ab", 200),
                ("/two", "abc", 413),
            ]:
                files = dict.fromkeys(fields, (None, b"1"))
                assert (await client.post(path, files=files)).status_code == status


FULL_DISK = """
import asyncio, os, resource, sys, tempfile
from pathlib import Path
from oxidite import Oxidite, Request, Upload
from oxidite.testing import Client

app = Oxidite(max_body=10_000_000)

@app.post("/spool")
async def spool(f: Upload) -> int:
    return f.size

@app.post("/save")
async def save(request: Request) -> int:
    async for part in request.parts():
        await part.save(Path(sys.argv[1]) / "saved")
    return 0

async def main():
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_500_000, resource.RLIM_INFINITY))
    async with Client(app) as client:
        small = await client.post("/spool", files={"f": ("g", b"x" * 2_000_000)})
        before = len(os.listdir("/proc/self/fd"))
        for path in ("/spool", "/save"):
            answer = await client.post(path, files={"f": ("g", b"x" * 5_000_000)})
            print(answer.status_code, answer.json()["code"])
        print(small.status_code, len(os.listdir("/proc/self/fd")) - before, os.listdir(sys.argv[1]))

asyncio.run(main())
"""

KILLED = """
import asyncio, os, signal
from oxidite.http.form import parse_multipart

async def body():
    yield b'--b\\r\\nContent-Disposition: form-data; name="f"; filename="g"\\r\\n\\r\\n'
    for _ in range(100):
        yield b"x" * 65536
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(parse_multipart("multipart/form-data; boundary=b", body()))
"""


def run(program: str, directory: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program, str(directory)],
        env={"TMPDIR": str(directory), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_full_disk_is_answered_and_nothing_is_left(tmp_path: Path) -> None:
    done = run(FULL_DISK, tmp_path)
    assert done.stdout.splitlines() == [
        "507 insufficient_storage",
        "507 insufficient_storage",
        "200 0 []",
    ], done.stderr
    assert done.stderr.count("no room for an upload in") == 2
    assert names(tmp_path) == []


def test_a_killed_process_leaves_no_temporary_file(tmp_path: Path) -> None:
    assert run(KILLED, tmp_path).returncode == -9
    assert names(tmp_path) == []
