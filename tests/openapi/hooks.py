"""What schemathesis is told beside the document: what its own encoding makes right again."""

from __future__ import annotations

from typing import Any

import schemathesis


def _whole(value: Any) -> Any:
    """Write 2.0 as 2: JSON Schema takes both for an integer, the framework only the second."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {key: _whole(each) for key, each in value.items()}
    return [_whole(each) for each in value] if isinstance(value, list) else value


@schemathesis.hook
def map_body(context: object, body: Any) -> Any:
    return _whole(body)


_FILES = frozenset(("file", "more", "picture", "others"))


@schemathesis.hook
def filter_case(context: object, case: Any) -> bool:
    """Leave out what is wrong of a form only before it is sent, and cursors that somebody made up.

    In a form everything is text where text is wanted, and bytes where a file is. A cursor is a text
    to a document, and only those that the application has signed are right.
    """
    if "after" in (case.query or {}):
        return False
    if case.media_type != "multipart/form-data" or not isinstance(case.body, dict):
        return True
    return all(
        isinstance(each, bytes | list if name in _FILES else str | bytes | list)
        for name, each in case.body.items()
    )
