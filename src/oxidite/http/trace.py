"""Trace context: ``traceparent`` and ``tracestate`` (https://www.w3.org/TR/trace-context/).

What does not follow the grammar to the letter is as if it were not there.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from msgspec import Struct

__all__ = ["TraceContext", "parse_traceparent", "parse_tracestate"]

# Later versions may have more behind it (section 3.2.4), the one there is may not.
_PARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.ASCII)
_KEY = r"(?:[a-z][a-z0-9_\-*/]{0,255}|[a-z0-9][a-z0-9_\-*/]{0,240}@[a-z][a-z0-9_\-*/]{0,13})"
_MEMBER = re.compile(
    rf"({_KEY})=([\x20-\x2b\x2d-\x3c\x3e-\x7e]{{0,255}}[\x21-\x2b\x2d-\x3c\x3e-\x7e])"
)
_MEMBERS = 32
_LONGEST = 8192
_SAMPLED = 0x01


class TraceContext(Struct, frozen=True, gc=False):
    """Where a request stands in a trace over several services; ids are lower-case hexadecimal.

    ``span_id`` is this request here, ``parent_id`` the call that came in, empty at the start of a
    trace. ``state`` is the ``tracestate`` of other vendors, to be passed on as it is.
    """

    trace_id: str
    span_id: str
    parent_id: str = ""
    sampled: bool = False
    state: str = ""

    @property
    def traceparent(self) -> str:
        """The field for the calls that this request makes."""
        return f"00-{self.trace_id}-{self.span_id}-{'01' if self.sampled else '00'}"

    def headers(self) -> dict[str, str]:
        """Return the fields for a call to another service, which is in the same trace then."""
        fields = {"traceparent": self.traceparent}
        return {**fields, "tracestate": self.state} if self.state else fields


def parse_traceparent(values: Sequence[str]) -> tuple[str, str, bool] | None:
    """Return the trace, the parent and whether it is sampled; ``None`` if that is not what it says.

    ``values`` are all fields of that name: more than one says nothing (section 3.2).
    """
    match = _PARENT.fullmatch(values[0]) if len(values) == 1 else None
    if match is None:
        return None
    version, trace_id, parent_id, flags, more = match.groups()
    if version == "ff" or (version == "00" and more is not None):
        return None
    if trace_id.strip("0") == "" or parent_id.strip("0") == "":
        return None
    return trace_id, parent_id, bool(int(flags, 16) & _SAMPLED)


def parse_tracestate(values: Sequence[str]) -> str:
    """Return the fields of that name as one list; empty if any of it is malformed (section 3.3)."""
    text = ",".join(values)
    if len(text) > _LONGEST:
        return ""
    members = [each for part in text.split(",") if (each := part.strip(" \t"))]
    found = [_MEMBER.fullmatch(each) for each in members]
    keys = {match[1] for match in found if match is not None}
    if len(members) > _MEMBERS or len(keys) != len(members):
        return ""
    return ",".join(members)
