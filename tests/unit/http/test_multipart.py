from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from pathlib import Path
from typing import IO, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oxidite.errors import (
    BadRequestError,
    InsufficientStorageError,
    PayloadTooLargeError,
    UnsupportedMediaTypeError,
)
from oxidite.http.filename import safe_filename
from oxidite.http.form import FormData, parse_multipart, parse_urlencoded
from oxidite.http.limits import FormLimits, InvalidFormError
from oxidite.http.spool import Spool, Upload

BOUNDARY = "x-boundary"
CONTENT_TYPE = f"multipart/form-data; boundary={BOUNDARY}"
END = f"--{BOUNDARY}--\r\n".encode()


def field(name: str, value: bytes) -> bytes:
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'
    return head.encode() + value + b"\r\n"


def file(name: str, filename: str, content: bytes, type_: str = "text/plain") -> bytes:
    head = (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"; filename="{filename}"\r\n'
        f"Content-Type: {type_}\r\n\r\n"
    )
    return head.encode() + content + b"\r\n"


class Body:
    """A body in pieces that counts how much of it was asked for."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self.pieces = pieces
        self.taken = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self.pieces:
            self.taken += len(piece)
            yield piece


def cut(body: bytes, size: int) -> Body:
    return Body(body[start : start + size] for start in range(0, len(body), size))


async def parse(body: bytes, *, size: int = 65536, **limits: Any) -> FormData:
    return await parse_multipart(CONTENT_TYPE, cut(body, size), FormLimits(**limits))


async def only_file(form: FormData) -> Upload:
    [(_, upload)] = form.files()
    return upload


async def contents(form: FormData) -> list[tuple[str, str | tuple[str, str, bytes]]]:
    return [
        (name, value)
        if isinstance(value, str)
        else (name, (value.raw_filename, value.content_type, await value.read()))
        for name, value in form.multi_items()
    ]


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


SAMPLES: list[bytes] = [
    END,
    field("a", b"1") + END,
    field("a", b"") + END,
    field("", b"1") + END,
    field("a", b"1") + field("a", b"2") + END,
    field("a", b"1") + END[:-2],
    b"\r\n" + field("a", b"1") + END,
    field("a", b"1") + END + b"\r\nepilogue\r\n",
    field("a", "é€𝄞".encode()) + END,
    field("a", b"\r\n\r\n--\r\n") + END,
    field("a", b"\r\n--x-boundar\r\n--x-boundar-") + END,
    field("a", b"--x-boundary") + END,
    field("a%22b", b"1") + END,
    file("f", "a.txt", b"content") + END,
    file("f", "", b"") + END,
    file("f", "a.txt", b"") + END,
    file("f", "a.bin", bytes(range(256)), "application/octet-stream") + END,
    file("f", "a.txt", b"\r\r\r\r\n\n\n\r\n") + field("a", b"1") + END,
    file("f", "a.txt", b"1") + file("f", "b.txt", b"2") + END,
    f"--{BOUNDARY}\r\ncontent-type: text/plain\r\nx-other: 1\r\ncontent-disposition: form-data; name=a\r\n\r\n1\r\n".encode()
    + END,
    f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="f"; filename="a.txt"\r\nContent-Length: 3\r\n\r\nabc\r\n'.encode()
    + END,
]


class TestMultipart:
    async def test_fields_and_files_come_in_order(self) -> None:
        body = (
            field("title", "Größe".encode())
            + file("photo", "a.png", b"\x89PNG", "Image/PNG; x=1")
            + field("tag", b"a")
            + field("tag", b"b")
            + END
        )
        async with await parse(body) as form:
            assert await contents(form) == [
                ("title", "Größe"),
                ("photo", ("a.png", "image/png", b"\x89PNG")),
                ("tag", "a"),
                ("tag", "b"),
            ]
            assert form.fields() == [("title", "Größe"), ("tag", "a"), ("tag", "b")]
            assert [(name, upload.size) for name, upload in form.files()] == [("photo", 4)]

    @pytest.mark.parametrize("body", SAMPLES, ids=range(len(SAMPLES)))
    async def test_pieces_of_any_size_give_the_same_form(self, body: bytes) -> None:
        async with await parse(body) as form:
            whole = await contents(form)
        for size in (1, 2, 3, 7, 13, 64):
            async with await parse(body, size=size, spool_size=0) as form:
                assert await contents(form) == whole

    @pytest.mark.parametrize("body", SAMPLES, ids=range(len(SAMPLES)))
    async def test_a_body_cut_at_any_byte_ends_with_an_error(self, body: bytes) -> None:
        complete = body.index(END[:-2]) + len(END) - 2
        for length in range(len(body)):
            for size in (1, 65536):
                if length >= complete:
                    await (await parse(body[:length], size=size)).aclose()
                    continue
                with pytest.raises(InvalidFormError):
                    await parse(body[:length], size=size)

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"nonsense" * 10,
            b"preamble\r\n" + field("a", b"1") + END,
            field("a", b"1").replace(b"\r\n", b"\n") + END,
            field("a", b"1").replace(b"form-data", b"attachment") + END,
            field("a", b"1").replace(b'; name="a"', b"") + END,
            field("a", b"1").replace(b"Content-Disposition", b"X-Other") + END,
            field("a", b"1").replace(b"Content-Disposition", b"Content Disposition") + END,
            field("a", b"1").replace(b": ", b" ") + END,
            field("a", b"1").replace(b"\r\n\r\n", b"\r\n folded\r\n\r\n") + END,
            field("a", b"1").replace(b"\r\n\r\n", b"\r\nContent-Length: 2\r\n\r\n") + END,
            field("a", b"1").replace(b"\r\n\r\n", b"\r\nContent-Length: x\r\n\r\n") + END,
            field("a", b"1") + b"--x-boundaryx\r\n" + END,
            END.replace(b"--\r\n", b"\n\r\n\r\n"),
            field("a", b"\xff") + END,
            field("a", b"\xc3") + field("b", b"\xa9") + END,
            field("a", "é".encode("latin-1")) + END,
            field("a", b"\0") + END,
            field("a\0", b"1") + END,
            field("X", b"1").replace(b"X", b"\xff") + END,
            file("f", "X", b"1").replace(b"X", b"\xff") + END,
        ],
    )
    async def test_a_malformed_body_is_refused(self, body: bytes) -> None:
        with pytest.raises(InvalidFormError) as caught:
            await parse(body)
        assert isinstance(caught.value, BadRequestError)
        assert (caught.value.code, caught.value.status) == ("invalid_form", 400)

    @pytest.mark.parametrize("size", [1, 5, 50, 65536])
    async def test_a_preamble_is_refused_however_it_is_cut(self, size: int) -> None:
        for preamble in (b"x", b"\r\n\r\n", b"preamble\r\n", b"\n"):
            with pytest.raises(InvalidFormError, match="begin with its boundary"):
                await parse(preamble + field("a", b"1") + END, size=size)

    @pytest.mark.parametrize(
        "parameter",
        [
            "",
            "; boundary=",
            '; boundary=""',
            "; boundary=" + "a" * 71,
            '; boundary="a "',
            '; boundary="a\\\r\nb"',
            "; boundary=é",
            "; boundary=a*b",
            '; boundary="a',
            "; boundary=a b",
            "; other=a",
        ],
    )
    async def test_a_boundary_that_is_missing_or_invalid_is_refused(self, parameter: str) -> None:
        with pytest.raises(InvalidFormError, match="boundary"):
            await parse_multipart("multipart/form-data" + parameter, Body([END]))

    @pytest.mark.parametrize(
        "boundary", ["a" * 70, "----WebKitFormBoundary7MA4YWxkTrZu0gW", "a/b:c=d?e,f", "0"]
    )
    async def test_boundaries_of_clients_are_accepted(self, boundary: str) -> None:
        body = (
            f'--{boundary}\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--{boundary}--'
        )
        for content_type in (f"boundary={boundary}", f'charset=utf-8; Boundary="{boundary}"'):
            form = await parse_multipart(
                f"Multipart/Form-Data; {content_type}", Body([body.encode()])
            )
            assert form["a"] == "1"

    @pytest.mark.parametrize("content_type", ["", "text/plain", "multipart/mixed; boundary=a"])
    async def test_another_media_type_is_refused(self, content_type: str) -> None:
        with pytest.raises(UnsupportedMediaTypeError):
            await parse_multipart(content_type, Body([END]))

    async def test_the_charset_field_changes_nothing(self) -> None:
        form = await parse(field("_charset_", b"latin-1") + field("a", "é".encode()) + END)
        assert form["a"] == "é"

    async def test_a_file_input_left_empty_is_left_out(self) -> None:
        async with await parse(file("f", "", b"", "application/octet-stream") + END) as form:
            assert "f" not in form
        async with await parse(file("f", "", b"x") + END) as form:
            assert (await only_file(form)).filename == "upload"

    @pytest.mark.parametrize("type_", ["", "nonsense", "text/html\rX: 1", "a/b/c"])
    async def test_a_content_type_that_is_none_becomes_bytes(self, type_: str) -> None:
        async with await parse(file("f", "a", b"1", type_) + END) as form:
            assert (await only_file(form)).content_type == "application/octet-stream"

    async def test_the_error_of_the_body_comes_through(self) -> None:
        async def broken() -> AsyncIterator[bytes]:
            yield field("a", b"1")
            raise ConnectionError("gone")

        with pytest.raises(ConnectionError, match="gone"):
            await parse_multipart(CONTENT_TYPE, broken())

    @given(
        st.lists(
            st.tuples(
                st.text(st.characters(exclude_characters='\0"\r\n%\\', codec="utf-8"), max_size=8),
                st.none() | st.text("ab.é", min_size=1, max_size=8),
                st.binary(max_size=40) | st.text("\r\n-x", max_size=20).map(str.encode),
            ),
            max_size=6,
        ),
        st.integers(1, 100),
        st.sampled_from([0, 20, 10_000]),
    )
    def test_what_is_sent_is_what_is_read(
        self, parts: list[tuple[str, str | None, bytes]], size: int, spool_size: int
    ) -> None:
        parts = [
            (name, filename, content)
            for name, filename, content in parts
            if filename is not None or (_is_text(content) and b"\0" not in content)
        ]
        body = b"".join(
            field(name, content) if filename is None else file(name, filename, content)
            for name, filename, content in parts
        )

        async def run() -> None:
            async with await parse(body + END, size=size, spool_size=spool_size) as form:
                assert await contents(form) == [
                    (
                        name,
                        content.decode() if filename is None else (filename, "text/plain", content),
                    )
                    for name, filename, content in parts
                ]

        asyncio.run(run())

    @given(
        st.lists(
            st.sampled_from(
                [
                    END,
                    field("a", b"1"),
                    file("f", "g", b"2"),
                    b"\r\n",
                    b"--",
                    b"x-boundary",
                    b"\n",
                    b"\0",
                    b"\xff",
                    field("a", b"1")[:30],
                    b'Content-Disposition: form-data; name="',
                    b": ",
                    b'"',
                    b";",
                ]
            )
            | st.binary(max_size=10),
            max_size=12,
        ),
        st.integers(1, 200),
    )
    def test_any_bytes_give_a_form_or_our_error(self, pieces: list[bytes], size: int) -> None:
        async def run() -> None:
            try:
                await (await parse(b"".join(pieces), size=size, spool_size=0)).aclose()
            except (InvalidFormError, PayloadTooLargeError):
                return

        asyncio.run(run())


class TestLimits:
    async def test_exactly_the_limits_are_accepted(self) -> None:
        body = field("a", b"12345") + field("b", b"1234") + file("f", "g", b"123") + END
        limits = {"max_fields": 2, "max_files": 1, "max_field_size": 5, "max_fields_total": 11}
        async with await parse(body, **limits, max_file_size=3) as form:
            assert len(form) == 3

    @pytest.mark.parametrize(
        ("limits", "message"),
        [
            ({"max_fields": 1}, "more than 1 fields"),
            ({"max_files": 1}, "more than 1 files"),
            ({"max_files": 0}, "more than 0 files"),
            ({"max_field_size": 4}, "'a' is larger than 4 bytes"),
            ({"max_fields_total": 10}, "larger than 10 bytes together"),
            ({"max_file_size": 2}, "'g' is larger than 2 bytes"),
            ({"max_headers": 1}, "more than 1 header fields"),
            ({"max_header_size": 20}, "more than 20 bytes"),
        ],
    )
    @pytest.mark.parametrize("size", [1, 65536])
    async def test_the_message_tells_which_limit_was_passed(
        self, limits: dict[str, int], message: str, size: int
    ) -> None:
        body = field("a", b"12345") + field("b", b"1234") + file("f", "g", b"123") * 2 + END
        with pytest.raises(PayloadTooLargeError, match=message) as caught:
            await parse(body, size=size, **limits)
        assert caught.value.status == 413

    @pytest.mark.parametrize("part", [field("a", b""), file("f", "", b""), file("f", "g", b"")])
    async def test_a_hundred_thousand_parts_are_stopped_early(self, part: bytes) -> None:
        body = Body(part * 100 for _ in range(1000))
        with pytest.raises(PayloadTooLargeError, match="The form has more than"):
            await parse_multipart(CONTENT_TYPE, body)
        assert body.taken <= 1100 * len(part)

    @pytest.mark.parametrize(
        ("start", "piece", "kept"),
        [
            (b"", b"preamble" * 1000, 8000),
            (b"", b"\r\n" * 4000, 8000),
            (END, b"epilogue" * 1000, 8100),
            (END, b"\r\n" * 10, 1200),
            (field("a", b"")[:-2], b"x" * 10_000, 80_000),
            (field("a", b"") + f"--{BOUNDARY}\r\n".encode(), b"X: " + b"x" * 997, 10_000),
            (f"--{BOUNDARY}\r\n".encode(), b"X: y\r\n" * 100, 1000),
            (file("f", "g", b"")[:-2], b"x" * 10_000, 80_000),
            (f"--{BOUNDARY}".encode(), b"\t" * 1000, 1100),
        ],
    )
    async def test_two_megabytes_of_anything_are_cut(
        self, start: bytes, piece: bytes, kept: int
    ) -> None:
        body = Body([start, *[piece] * (2_000_000 // len(piece))])
        limits = FormLimits(max_field_size=60_000, max_file_size=60_000)
        with pytest.raises((PayloadTooLargeError, InvalidFormError)):
            await parse_multipart(CONTENT_TYPE, body, limits)
        assert body.taken <= kept

    async def test_nothing_over_a_limit_is_stored(self, temporary: Temporary) -> None:
        body = file("f", "g", b"x" * 100_000) + END
        with pytest.raises(PayloadTooLargeError):
            await parse(body, size=100, spool_size=0, max_file_size=80_000)
        [spooled] = temporary.sizes
        assert 60_000 < spooled <= 80_000

    @pytest.mark.parametrize(
        "content", [b"\r", b"\r\n", b"\r\n--x-boundar", b"\r\n-", b"-", b"\n\r"]
    )
    async def test_time_is_linear_in_the_size_of_a_file(self, content: bytes) -> None:
        small, large = (
            file("f", "g", content * (size // len(content))) + END for size in (2**20, 2**22)
        )
        await _seconds(small)
        ratio = min([await _seconds(large) for _ in range(3)]) / min(
            [await _seconds(small) for _ in range(3)]
        )
        assert ratio < 10  # four times the work; 16 if it were quadratic

    @pytest.mark.parametrize("unit", [b'\\"', b";", b'"', b" ", b"=", b";a=", b'; a="'])
    async def test_a_hostile_part_header_is_quick(self, unit: bytes) -> None:
        head = b'Content-Disposition: form-data; name="'
        body = (
            f"--{BOUNDARY}\r\n".encode()
            + head
            + unit * (4000 // len(unit))
            + b"\r\n\r\n1\r\n"
            + END
        )
        started = time.process_time()
        with contextlib.suppress(InvalidFormError):
            await parse(body)
        assert time.process_time() - started < 0.2


class TestUrlencoded:
    def test_fields_come_in_order(self) -> None:
        form = parse_urlencoded(b"a=1&b=x+y&a=%C3%A9&c&=&d=1;e=2")
        assert form.multi_items() == [
            ("a", "1"),
            ("b", "x y"),
            ("a", "é"),
            ("c", ""),
            ("d", "1;e=2"),
        ]
        assert form.fields() == form.multi_items()
        assert form.files() == []

    def test_an_empty_body_is_an_empty_form(self) -> None:
        assert parse_urlencoded(b"") == FormData()

    def test_raw_utf_8_is_accepted(self) -> None:
        assert parse_urlencoded("a=é".encode())["a"] == "é"

    @pytest.mark.parametrize(
        "body",
        [
            b"a=%",
            b"a=%zz",
            b"a=%ff",
            b"a=\xff",
            b"a=%00",
            b"a=\0",
            b"a=%ED%A0%80",
            b"_charset_=latin-1&a=%e9",
        ],
    )
    def test_what_is_not_utf_8_is_refused(self, body: bytes) -> None:
        with pytest.raises(InvalidFormError) as caught:
            parse_urlencoded(body)
        assert caught.value.code == "invalid_form"

    @pytest.mark.parametrize(
        ("limits", "message"),
        [
            ({"max_fields": 1}, "more than 1 fields"),
            ({"max_field_size": 5}, "'b' is larger than 5 bytes"),
            ({"max_fields_total": 18}, "larger than 18 bytes together"),
        ],
    )
    def test_the_message_tells_which_limit_was_passed(
        self, limits: dict[str, int], message: str
    ) -> None:
        body = "a=123&b=%C3%A9€é".encode() + b"%61"
        assert len(body) == 22
        with pytest.raises(PayloadTooLargeError, match=message):
            parse_urlencoded(body, FormLimits(**limits))

    @pytest.mark.parametrize("unit", [b"&", b"%", b"=", b"+", b"%41", b"a&", b"a=%C3%A9&"])
    def test_a_megabyte_of_anything_is_quick(self, unit: bytes) -> None:
        body = unit * (1_000_000 // len(unit))
        started = time.process_time()
        with contextlib.suppress(InvalidFormError, PayloadTooLargeError):
            parse_urlencoded(body)
        assert time.process_time() - started < 1


class TestFormData:
    async def test_it_is_a_mapping_with_each_name_once(self) -> None:
        form = FormData([("b", "1"), ("a", "2"), ("b", "3")])
        assert list(form) == ["b", "a"]
        assert len(form) == 2
        assert form["b"] == "1"
        assert form.get("b") == "1"
        assert form.get("c") is None
        assert form.get("c", 0) == 0
        assert form.get_all("b") == ["1", "3"]
        assert form.get_all("c") == []
        assert list(form.items()) == [("b", "1"), ("a", "2")]
        assert "a" in form
        assert "c" not in form
        with pytest.raises(KeyError):
            form["c"]

    def test_equality_is_of_everything(self) -> None:
        assert FormData([("a", "1")]) == FormData([("a", "1")])
        assert hash(FormData([("a", "1")])) == hash(FormData([("a", "1")]))
        assert FormData([("a", "1")]) != FormData([("a", "1"), ("a", "2")])
        assert FormData([("a", "1")]) != {"a": "1"}

    def test_values_are_not_in_the_repr(self) -> None:
        assert repr(FormData([("password", "secret")])) == "FormData(password)"

    async def test_closing_twice_is_fine(self) -> None:
        form = await parse(file("f", "g", b"1") + END, spool_size=0)
        await form.aclose()
        await form.aclose()
        await FormData().aclose()


class TestUpload:
    @pytest.fixture(params=[0, 10_000], ids=["disk", "memory"])
    async def upload(self, request: pytest.FixtureRequest) -> AsyncIterator[Upload]:
        body = file("other", "o", b"before") + file("f", "a.txt", b"0123456789") + END
        async with await parse(body + field("x", b""), spool_size=request.param) as form:
            upload = form["f"]
            assert isinstance(upload, Upload)
            yield upload

    async def test_it_is_read_like_a_file(self, upload: Upload) -> None:
        assert await upload.read(3) == b"012"
        assert await upload.read(0) == b""
        assert await upload.read(100) == b"3456789"
        assert await upload.read() == b""
        assert await upload.seek(4) == 4
        assert await upload.read() == b"456789"
        assert await upload.seek(100) == 10
        assert await upload.read(1) == b""
        with pytest.raises(ValueError, match="-1"):
            await upload.seek(-1)

    async def test_chunks_are_the_whole_content_wherever_reading_is(self, upload: Upload) -> None:
        await upload.read(5)
        assert [chunk async for chunk in upload.chunks(4)] == [b"0123", b"4567", b"89"]
        assert [chunk async for chunk in upload.chunks()] == [b"0123456789"]
        assert await upload.read() == b"56789"
        with pytest.raises(ValueError, match="0 is not"):
            [chunk async for chunk in upload.chunks(0)]

    async def test_saving_writes_the_whole_content(self, upload: Upload, tmp_path: Path) -> None:
        await upload.read(5)
        await upload.save(tmp_path / "saved")
        await upload.save(str(tmp_path / "again"))
        assert (tmp_path / "saved").read_bytes() == b"0123456789"
        assert names(tmp_path) == ["again", "saved"]

    async def test_a_saved_file_has_the_usual_permissions(
        self, upload: Upload, tmp_path: Path
    ) -> None:
        (tmp_path / "usual").touch()
        await upload.save(tmp_path / "saved")
        assert (tmp_path / "saved").stat().st_mode == (tmp_path / "usual").stat().st_mode

    async def test_saving_never_overwrites_unless_asked(
        self, upload: Upload, tmp_path: Path
    ) -> None:
        target = tmp_path / "there"
        target.write_bytes(b"old")
        with pytest.raises(FileExistsError):
            await upload.save(target)
        assert target.read_bytes() == b"old"
        await upload.save(target, overwrite=True)
        assert target.read_bytes() == b"0123456789"
        assert names(tmp_path) == ["there"]

    async def test_saving_does_not_follow_a_link(self, upload: Upload, tmp_path: Path) -> None:
        (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
        with pytest.raises(FileExistsError):
            await upload.save(tmp_path / "link")
        await upload.save(tmp_path / "link", overwrite=True)
        assert names(tmp_path) == ["link"]
        assert not (tmp_path / "link").is_symlink()

    async def test_saving_works_without_hard_links(
        self, upload: Upload, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(self: Path, target: Path) -> None:
            raise PermissionError(errno.EPERM, "no hard links here")

        monkeypatch.setattr(Path, "hardlink_to", refuse)
        await upload.save(tmp_path / "saved")
        assert (tmp_path / "saved").read_bytes() == b"0123456789"
        with pytest.raises(FileExistsError):
            await upload.save(tmp_path / "saved")
        assert names(tmp_path) == ["saved"]

    async def test_a_failed_save_leaves_nothing(
        self, upload: Upload, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(descriptor: int) -> None:
            raise OSError(errno.ENOSPC, "disk full")

        monkeypatch.setattr(os, "fsync", fail)
        with pytest.raises(InsufficientStorageError):
            await upload.save(tmp_path / "saved")
        with pytest.raises(FileNotFoundError):
            await upload.save(tmp_path / "missing" / "saved")
        assert names(tmp_path) == []

    @pytest.mark.parametrize("spool_size", [0, 10_000])
    async def test_nothing_can_be_read_after_the_form_is_closed(
        self, spool_size: int, tmp_path: Path
    ) -> None:
        async with await parse(file("f", "g", b"1") + END, spool_size=spool_size) as form:
            upload = await only_file(form)
        with pytest.raises(ValueError, match="closed"):
            await upload.read()
        with pytest.raises(ValueError, match="closed"):
            [chunk async for chunk in upload.chunks()]
        with pytest.raises(ValueError, match="closed"):
            await upload.save(tmp_path / "saved")
        assert names(tmp_path) == []

    async def test_the_repr_says_what_it_is(self, upload: Upload) -> None:
        assert repr(upload) == "<Upload 'a.txt' text/plain 10 bytes>"


class TestSpool:
    async def test_small_files_stay_in_memory(self, temporary: Temporary) -> None:
        async with await parse(file("f", "g", b"x" * 5000) + END, spool_size=5000):
            assert temporary.files == []

    async def test_a_form_opens_one_file_however_many_it_brings(self, temporary: Temporary) -> None:
        parts = [file("f", f"{n}", f"content {n}".encode() * 1000) for n in range(50)]
        async with await parse(b"".join(parts) + END, size=10_000, spool_size=5000) as form:
            assert len(temporary.files) == 1
            for n, (_, upload) in enumerate(form.files()):
                assert await upload.read() == f"content {n}".encode() * 1000
        assert [opened.closed for opened in temporary.files] == [True]

    async def test_the_loop_does_not_wait_for_the_disk(self, temporary: Temporary) -> None:
        async with await parse(file("f", "g", b"x" * 5000) + END, spool_size=100):
            assert temporary.threads != []
            assert threading.main_thread() not in temporary.threads

    @pytest.mark.parametrize("end", [b"", field("a", b"\xff") + END, END + b"x" * 2000])
    async def test_an_error_closes_the_file(self, temporary: Temporary, end: bytes) -> None:
        with pytest.raises((InvalidFormError, PayloadTooLargeError)):
            await parse(file("f", "g", b"x" * 5000) + end, size=100, spool_size=100)
        assert [opened.closed for opened in temporary.files] == [True]

    async def test_cancelling_closes_the_file(self, temporary: Temporary) -> None:
        stalled = asyncio.Event()

        async def stalling() -> AsyncIterator[bytes]:
            yield file("f", "g", b"x" * 5000)
            stalled.set()
            await asyncio.Event().wait()

        task = asyncio.create_task(
            parse_multipart(CONTENT_TYPE, stalling(), FormLimits(spool_size=100))
        )
        await stalled.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert [opened.closed for opened in temporary.files] == [True]

    async def test_cancelling_at_every_turn_of_the_loop_closes_the_file(
        self, temporary: Temporary
    ) -> None:
        for turns in range(100):
            spool = Spool(0)
            task = asyncio.create_task(spool.write(b"x" * 100_000))
            for _ in range(turns % 10):
                await asyncio.sleep(0)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            await spool.aclose()
            with pytest.raises(ValueError, match="closed"):
                spool.read(0, 1)
        assert all(opened.closed for opened in temporary.files)


class TestSafeFilename:
    @pytest.mark.parametrize(
        ("name", "safe"),
        [
            ("photo.png", "photo.png"),
            ("my photo (1).png", "my photo (1).png"),
            ("größe 日本.txt", "größe 日本.txt"),
            ("../../etc/passwd", "passwd"),
            ("..\\..\\windows\\win.ini", "win.ini"),
            ("/etc/passwd", "passwd"),
            ("C:\\Users\\me\\a.txt", "a.txt"),
            ("C:a.txt", "C_a.txt"),
            ("\\\\server\\share\\a.txt", "a.txt"),
            ("a/..\\b", "b"),
            ("a.php\0.png", "a.php.png"),
            ("a\r\nSet-Cookie: x.txt", "aSet-Cookie_ x.txt"),
            ("\u202egnp.exe", "gnp.exe"),
            ("a\u202etxt.exe", "atxt.exe"),
            ("a\u200b\u2066\ufeff.txt", "a.txt"),
            ("a\ud800.txt", "a.txt"),
            (".htaccess", "htaccess"),
            ("...", "upload"),
            (".", "upload"),
            ("..", "upload"),
            ("", "upload"),
            ("dir/", "upload"),
            ("   ", "upload"),
            ("-rf", "rf"),
            ("a.txt. . ", "a.txt"),
            ('a<b>:c|d?e*f"g', "a_b__c_d_e_f_g"),
            ("CON", "_CON"),
            ("con.txt", "_con.txt"),
            ("nul .tar.gz", "_nul .tar.gz"),
            ("Com1", "_Com1"),
            ("lpt9.txt", "_lpt9.txt"),
            ("lpt\u00b9", "_lpt\u00b9"),
            ("CONIN$", "_CONIN$"),
            ("console.txt", "console.txt"),
            ("a.txt:stream", "a.txt_stream"),
        ],
    )
    def test_a_name_cannot_lead_elsewhere(self, name: str, safe: str) -> None:
        assert safe_filename(name) == safe

    def test_a_long_name_keeps_its_extension(self) -> None:
        assert safe_filename("a" * 300 + ".jpeg") == "a" * 195 + ".jpeg"
        assert safe_filename("a" * 300) == "a" * 200
        assert safe_filename("é" * 300 + ".jpeg").encode() == ("é" * 97 + ".jpeg").encode()
        assert safe_filename("a." + "b" * 300) == "a." + "b" * 198

    @given(st.text(max_size=300) | st.text("./\\ -con:\0\u202eé", max_size=30))
    def test_any_text_becomes_a_name(self, name: str) -> None:
        safe = safe_filename(name)
        assert safe == safe_filename(safe)
        assert 1 <= len(safe.encode()) <= 200
        assert safe.isprintable()
        assert not set('/\\<>:"|?*') & set(safe)
        assert safe[0] not in ". -"
        assert safe[-1] not in ". "
        assert Path("/base", safe).parent == Path("/base")

    async def test_an_upload_has_both_names(self) -> None:
        async with await parse(file("f", "../../a.txt", b"1") + END) as form:
            upload = await only_file(form)
        assert (upload.filename, upload.raw_filename) == ("a.txt", "../../a.txt")


class Temporary:
    """The temporary files that were opened, with the thread each was opened in."""

    def __init__(self) -> None:
        self.files: list[IO[bytes]] = []
        self.threads: list[threading.Thread] = []
        self.descriptors: list[int] = []
        self._open = tempfile.TemporaryFile

    def open(self) -> IO[bytes]:
        opened = self._open()
        self.files.append(opened)
        self.threads.append(threading.current_thread())
        self.descriptors.append(os.dup(opened.fileno()))
        return opened

    @property
    def sizes(self) -> list[int]:
        """Bytes in each file, also after it was closed."""
        return [os.fstat(descriptor).st_size for descriptor in self.descriptors]


@pytest.fixture
def temporary(monkeypatch: pytest.MonkeyPatch) -> Iterator[Temporary]:
    record = Temporary()
    monkeypatch.setattr(tempfile, "TemporaryFile", record.open)
    yield record
    for descriptor in record.descriptors:
        os.close(descriptor)


async def _seconds(body: bytes) -> float:
    started = time.process_time()
    await (await parse(body, spool_size=2**24)).aclose()
    return time.process_time() - started


def _is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
