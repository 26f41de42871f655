"""What schemathesis is told beside the document: numbers as every common client writes them."""

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
