from __future__ import annotations

import io
import tarfile
import time
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oxidite.http.sniff import HEAD, could_be, sniff


def archive() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("a", "b")
    return buffer.getvalue()


def tape() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as file:
        file.addfile(tarfile.TarInfo("a"))
    return buffer.getvalue()


class TestSniff:
    @pytest.mark.parametrize(
        ("content", "type_"),
        [
            (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "image/png"),
            (b"\xff\xd8\xff\xe0\0\x10JFIF", "image/jpeg"),
            (b"GIF89a\1\0\1\0", "image/gif"),
            (b"RIFF\x24\0\0\0WEBPVP8 ", "image/webp"),
            (b"RIFF\x24\0\0\0WAVEfmt ", "audio/wav"),
            (b"RIFF\x24\0\0\0ABCD", None),
            (b"\0\0\0\x1cftypavif\0\0\0\0", "image/avif"),
            (b"\0\0\0\x18ftypheic\0\0\0\0", "image/heic"),
            (b"\0\0\0\x20ftypisom\0\0\2\0", "video/mp4"),
            (b"\0\0\0\x14ftypqt  ", "video/quicktime"),
            (b"\0\0\0\x14ftypM4A ", "audio/mp4"),
            (b"BM\x3a\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0", "image/bmp"),
            (b"BM is the beginning of a sentence", "text/plain"),
            (b"\x1aE\xdf\xa3\x9fB\x86\x81\1B\x82\x84webm", "video/webm"),
            (b"\x1aE\xdf\xa3\x9fB\x86\x81\1B\x82\x88matroska", "video/x-matroska"),
            (b"%PDF-1.7\n%\xe2\xe3", "application/pdf"),
            (archive(), "application/zip"),
            (tape(), "application/x-tar"),
            (b"\x7fELF\2\1\1", "application/x-elf"),
            (b"MZ\x90\0", "application/vnd.microsoft.portable-executable"),
            (b"MZ,PAR1\n1,2\n", "text/plain"),
            (b"ID3 is a kind of tag", "text/plain"),
            (b"ID3\4\0\0\0\0", "audio/mpeg"),
            (b"wOF2\0\1\0\0", "font/woff2"),
            (b"plain text\n", "text/plain"),
            ("größe".encode(), "text/plain"),
            ("größe".encode()[:-2], "text/plain"),  # half a character at the end
            (b"\xef\xbb\xbfa;b\n1;2\n", "text/plain"),
            ("a;b".encode("utf-16"), "text/plain"),
            (b"", None),
            (b"\xff\xfe\xfd\xfc", None),
            (b"a\0b", None),
            (bytes(range(256)), None),
        ],
    )
    def test_the_content_tells_the_type(self, content: bytes, type_: str | None) -> None:
        assert sniff(content) == type_

    @pytest.mark.parametrize(
        ("content", "type_"),
        [
            (b"<svg xmlns='http://www.w3.org/2000/svg'>", "text/xml"),
            (b"<SVG\nonload='alert(1)'>", "text/xml"),
            (b"  \r\n\t<?xml version='1.0'?><svg>", "text/xml"),
            (b"\xef\xbb\xbf<?xml version='1.0'?><svg>", "text/xml"),
            ("<?xml version='1.0'?><svg>".encode("utf-16"), "text/xml"),
            (b"<!DOCTYPE svg PUBLIC", "text/xml"),
            (b"<!-- a --><svg>", "text/html"),
            (b"<!DocType HTML><p>", "text/html"),
            (b"\n\n<script>alert(1)</script>", "text/html"),
            (b"<a href=x>", "text/html"),
            ("<html>".encode("utf-16-le"), None),  # no browser takes that for a page
        ],
    )
    def test_what_a_browser_runs_is_never_an_image(self, content: bytes, type_: str | None) -> None:
        assert sniff(content) == type_
        assert not could_be("image/*", sniffed=sniff(content), claimed="image/svg+xml")

    @given(st.binary(max_size=2 * HEAD))
    def test_only_the_beginning_counts(self, content: bytes) -> None:
        assert sniff(content) == sniff(content[:HEAD])

    @pytest.mark.parametrize("unit", [b" ", b"<", b"<!", b"<svg", b"\xef\xbb\xbf", b"a"])
    def test_it_is_quick_whatever_comes(self, unit: bytes) -> None:
        started = time.process_time()
        sniff(unit * 1_000_000)
        assert time.process_time() - started < 0.1


class TestCouldBe:
    @pytest.mark.parametrize(
        ("type_", "sniffed", "claimed", "accepted"),
        [
            ("image/png", "image/png", "image/png", True),
            ("image/png", "image/png", "text/html", True),
            ("image/*", "image/png", "", True),
            ("image/png", "image/jpeg", "image/png", False),
            ("image/png", None, "image/png", False),
            ("image/*", None, "image/png", False),
            ("image/*", None, "image/x-unknown", False),
            ("text/csv", "text/plain", "text/csv", True),
            ("text/csv", "text/plain", "text/plain", False),
            ("text/csv", "text/html", "text/csv", False),
            ("text/csv", "application/zip", "text/csv", False),
            ("text/csv", None, "text/csv", True),
            ("application/json", "text/plain", "application/json", True),
            ("image/svg+xml", "text/xml", "image/svg+xml", True),
            ("image/svg+xml", "text/plain", "image/svg+xml", False),
            ("application/epub+zip", "application/zip", "application/epub+zip", True),
            ("application/msword", "application/x-ole-storage", "application/msword", True),
            ("application/msword", "application/zip", "application/msword", False),
            ("application/x-of-ours", None, "application/x-of-ours", True),
            ("application/x-of-ours", "text/html", "application/x-of-ours", False),
        ],
    )
    def test_content_decides_and_the_client_only_among_the_like(
        self, type_: str, sniffed: str | None, claimed: str, accepted: bool
    ) -> None:
        assert could_be(type_, sniffed=sniffed, claimed=claimed) is accepted
