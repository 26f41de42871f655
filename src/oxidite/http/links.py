"""The ``Link`` field of one page of many (RFC 8288)."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

from oxidite.http.request import Request
from oxidite.http.url import quote_query

__all__ = ["page_links"]


def page_links(request: Request, pages: Mapping[str, Mapping[str, str | None]]) -> str:
    """Return the value of a ``Link`` field with relative URLs: the same path, another page.

    ``pages`` has for each relation, such as ``next``, the query parameters that differ from those of
    the request; ``None`` leaves one out.
    """
    path = quote(request.root_path + request.path, safe="/:@!$&'()*+,;=")
    if path.startswith("//"):
        path = "/%2F" + path[2:]  # two slashes would begin the name of a host
    links = []
    for relation, changes in pages.items():
        kept = [pair for pair in request.query.multi_items() if pair[0] not in changes]
        query = quote_query([*kept, *((k, v) for k, v in changes.items() if v is not None)])
        links.append(f'<{path}{"?" if query else ""}{query}>; rel="{relation}"')
    return ", ".join(links)
