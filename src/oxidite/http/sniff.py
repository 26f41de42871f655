"""The type of a file by its first bytes, whatever its name and its sender say.

The signatures are those of the WHATWG's "MIME Sniffing" and of the formats' own specifications. They
are exact: what is not recognised is ``None``, and nothing is guessed. SVG and HTML run scripts, so
they are text and never an image.
"""

from __future__ import annotations

import codecs
import re

__all__ = ["HEAD", "could_be", "sniff"]

HEAD = 512
"""Bytes from the start that are looked at."""

_SIGNATURES: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"II*\0", "image/tiff"),
    (b"MM\0*", "image/tiff"),
    (b"\0\0\1\0", "image/vnd.microsoft.icon"),
    (b"8BPS\0\1", "image/vnd.adobe.photoshop"),
    (b"\xff\x0a", "image/jxl"),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "image/jxl"),
    (b"%PDF-", "application/pdf"),
    (b"%!PS-Adobe-", "application/postscript"),
    (b"{\\rtf", "application/rtf"),
    (b"PK\3\4", "application/zip"),
    (b"PK\5\6", "application/zip"),  # an empty one
    (b"\x1f\x8b\x08", "application/gzip"),
    (b"\xfd7zXZ\0", "application/x-xz"),
    (b"(\xb5/\xfd", "application/zstd"),
    (b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
    (b"Rar!\x1a\7", "application/vnd.rar"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "application/x-ole-storage"),
    (b"SQLite format 3\0", "application/vnd.sqlite3"),
    (b"\0asm", "application/wasm"),
    (b"\x7fELF", "application/x-elf"),
    (b"\0\1\0\0", "font/ttf"),
    (b"\xff\xfb", "audio/mpeg"),
    (b"\xff\xf3", "audio/mpeg"),
    (b"\xff\xf2", "audio/mpeg"),
    (b"MThd\0\0\0\6", "audio/midi"),
    (b"OggS\0", "application/ogg"),
)
# Text may begin like that too, so these count only where it is none.
_WORDS: tuple[tuple[bytes, str], ...] = (
    (b"BZh", "application/x-bzip2"),
    (b"PAR1", "application/vnd.apache.parquet"),
    (b"MZ", "application/vnd.microsoft.portable-executable"),
    (b"wOFF", "font/woff"),
    (b"wOF2", "font/woff2"),
    (b"OTTO", "font/otf"),
    (b"ID3", "audio/mpeg"),
    (b"fLaC", "audio/flac"),
)
_RIFF = {b"WEBP": "image/webp", b"WAVE": "audio/wav", b"AVI ": "video/x-msvideo"}
_BRANDS = {  # of the ISO base media format: the four bytes after "ftyp"
    b"avif": "image/avif",
    b"avis": "image/avif",
    b"heic": "image/heic",
    b"heix": "image/heic",
    b"mif1": "image/heif",
    b"M4A ": "audio/mp4",
    b"M4B ": "audio/mp4",
    b"qt  ": "video/quicktime",
}
_BITMAP_HEADERS = (12, 40, 52, 56, 64, 108, 124)  # bytes, one for each version of the format

_HTML = re.compile(
    rb"<!doctype html|<(?:html|head|script|iframe|h1|div|font|table|a|style|title|b|body|br|p|meta|"
    rb"img|form|input|link|object|embed|base)(?=[\s/>])|<!--",
    re.IGNORECASE,
)
_XML = re.compile(rb"<\?xml(?=\s)|<svg(?=[\s>])|<!doctype svg", re.IGNORECASE)
_BOMS = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_NOT_TEXT = re.compile(
    rb"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]"
)  # control characters but blanks and ESC

# Families of types that begin alike: which of them it is, only the sender can say.
_IN_ZIP = re.compile(
    r"application/(?:vnd\.(?:openxmlformats-officedocument|oasis\.opendocument|ms-[a-z]+\.[a-z.]*12)"
    r".*|epub\+zip|java-archive|vnd\.android\.package-archive|.*\+zip)"
)
_IN_OLE = re.compile(r"application/(?:msword|vnd\.ms-.*|x-msi|vnd\.visio)")
_IN_TEXT = re.compile(
    r"text/(?!html$|xml$).*|application/(?:.*\+)?(?:json|yaml|toml|jsonl|sql|x-ndjson)|"
    r"application/(?:javascript|x-sh|x-subrip)|message/.*"
)
_IN_XML = re.compile(r"text/xml|(?:application|image|model)/(?:.*\+)?xml")
_IN_OGG = re.compile(r"(?:audio|video)/ogg")
_FAMILIES = {
    "application/zip": _IN_ZIP,
    "application/x-ole-storage": _IN_OLE,
    "text/plain": _IN_TEXT,
    "text/xml": _IN_XML,
    "application/ogg": _IN_OGG,
}


def sniff(head: bytes) -> str | None:
    """Return the media type of what begins with ``head``; ``None`` if it is not recognised.

    ``HEAD`` bytes are enough. Text is ``text/html``, ``text/xml`` or ``text/plain``.
    """
    head = head[:HEAD]
    signatures = (*_SIGNATURES, *_WORDS) if _NOT_TEXT.search(head) else _SIGNATURES
    for signature, type_ in signatures:
        if head.startswith(signature):
            return type_
    return _deeper(head) or _text(head)


def _deeper(head: bytes) -> str | None:
    """Return the type of what is not told by its first bytes alone."""
    if head.startswith(b"RIFF") and head[8:12] in _RIFF:
        return _RIFF[head[8:12]]
    if head[4:8] == b"ftyp":
        return _BRANDS.get(head[8:12], "video/mp4")
    if head.startswith(b"BM") and int.from_bytes(head[14:18], "little") in _BITMAP_HEADERS:
        return "image/bmp"
    if head.startswith(b"\x1aE\xdf\xa3"):
        return "video/webm" if b"webm" in head[:64] else "video/x-matroska"
    return "application/x-tar" if head[257:262] == b"ustar" else None


def _text(head: bytes) -> str | None:
    start = head
    for bom in _BOMS:
        start = start.removeprefix(bom)
    if start is not head and not head.startswith(codecs.BOM_UTF8):
        start = start.replace(b"\0", b"")  # as if UTF-16 were one byte: enough for a tag
    start = start.lstrip(b" \t\r\n\f")
    if _HTML.match(start):
        return "text/html"
    if _XML.match(start):
        return "text/xml"
    if not head or _NOT_TEXT.search(start):
        return None
    try:
        # The last character may be cut.
        codecs.getincrementaldecoder("utf-8")().decode(start)
    except UnicodeDecodeError:
        return None
    return "text/plain"


def could_be(type_: str, *, sniffed: str | None, claimed: str) -> bool:
    """Tell whether a file is of a media type, or of a range such as ``image/*``.

    What is recognised decides. A type that has no signature of its own is believed to the client, if
    the content is of the family that it belongs to: text, XML, a ZIP archive, or nothing known.
    """
    if sniffed is not None and _in_range(sniffed, type_):
        return True
    if not _in_range(claimed, type_) or type_.endswith("/*"):
        return False
    if sniffed is None:
        return claimed not in _KNOWN
    family = _FAMILIES.get(sniffed)
    return family is not None and family.fullmatch(claimed) is not None


_KNOWN = {
    *(type_ for _, type_ in (*_SIGNATURES, *_WORDS)),
    *_RIFF.values(),
    *_BRANDS.values(),
    *("image/bmp", "video/mp4", "video/webm", "video/x-matroska", "application/x-tar"),
    *("text/html", "text/xml", "text/plain", "image/svg+xml"),
}


def _in_range(type_: str, range_: str) -> bool:
    return type_ == range_ or (range_.endswith("/*") and type_.startswith(range_[:-1]))
