"""The media type of a file by its name.

A table of our own: the standard library's depends on files of the machine, and on Windows on what
somebody once installed.
"""

from __future__ import annotations

__all__ = ["media_type_of"]

UNKNOWN = "application/octet-stream"

_TEXT = "; charset=utf-8"
_TYPES = {
    # Pages and what belongs to them.
    "css": "text/css" + _TEXT,
    "htm": "text/html" + _TEXT,
    "html": "text/html" + _TEXT,
    "js": "text/javascript" + _TEXT,
    "json": "application/json",
    "jsonld": "application/ld+json",
    "map": "application/json",
    "mjs": "text/javascript" + _TEXT,
    "wasm": "application/wasm",
    "webmanifest": "application/manifest+json",
    "xhtml": "application/xhtml+xml",
    "xml": "application/xml",
    "atom": "application/atom+xml",
    "rss": "application/rss+xml",
    # Text.
    "csv": "text/csv" + _TEXT,
    "ics": "text/calendar" + _TEXT,
    "log": "text/plain" + _TEXT,
    "markdown": "text/markdown" + _TEXT,
    "md": "text/markdown" + _TEXT,
    "toml": "application/toml",
    "tsv": "text/tab-separated-values" + _TEXT,
    "txt": "text/plain" + _TEXT,
    "vcf": "text/vcard" + _TEXT,
    "vtt": "text/vtt" + _TEXT,
    "yaml": "application/yaml",
    "yml": "application/yaml",
    # Images.
    "apng": "image/apng",
    "avif": "image/avif",
    "bmp": "image/bmp",
    "gif": "image/gif",
    "heic": "image/heic",
    "ico": "image/vnd.microsoft.icon",
    "jpeg": "image/jpeg",
    "jpg": "image/jpeg",
    "jxl": "image/jxl",
    "png": "image/png",
    "svg": "image/svg+xml",
    "tif": "image/tiff",
    "tiff": "image/tiff",
    "webp": "image/webp",
    # Fonts.
    "otf": "font/otf",
    "ttf": "font/ttf",
    "woff": "font/woff",
    "woff2": "font/woff2",
    # Sound and film.
    "aac": "audio/aac",
    "flac": "audio/flac",
    "m3u8": "application/vnd.apple.mpegurl",
    "m4a": "audio/mp4",
    "m4v": "video/mp4",
    "mkv": "video/matroska",
    "mov": "video/quicktime",
    "mp3": "audio/mpeg",
    "mp4": "video/mp4",
    "mpd": "application/dash+xml",
    "mpeg": "video/mpeg",
    "oga": "audio/ogg",
    "ogg": "audio/ogg",
    "ogv": "video/ogg",
    "opus": "audio/ogg",
    "wav": "audio/wav",
    "weba": "audio/webm",
    "webm": "video/webm",
    # Documents and archives.
    "7z": "application/x-7z-compressed",
    "bz2": "application/x-bzip2",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "epub": "application/epub+zip",
    "geojson": "application/geo+json",
    "glb": "model/gltf-binary",
    "gltf": "model/gltf+json",
    "gz": "application/gzip",
    "ods": "application/vnd.oasis.opendocument.spreadsheet",
    "odt": "application/vnd.oasis.opendocument.text",
    "parquet": "application/vnd.apache.parquet",
    "pdf": "application/pdf",
    "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "rtf": "application/rtf",
    "sqlite": "application/vnd.sqlite3",
    "tar": "application/x-tar",
    "tgz": "application/gzip",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "xz": "application/x-xz",
    "zip": "application/zip",
    "zst": "application/zstd",
}


def media_type_of(name: str) -> str:
    """Return the media type that the ending of a name stands for; text is in UTF-8.

    An ending that is not known is ``application/octet-stream``, which no browser tries to run.
    """
    return _TYPES.get(name.rpartition(".")[2].lower(), UNKNOWN) if "." in name else UNKNOWN
