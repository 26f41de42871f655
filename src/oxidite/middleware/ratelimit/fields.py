"""The header fields that tell a client what is left (draft-ietf-httpapi-ratelimit-headers-11)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, Protocol, TypeAlias

from oxidite.http.request import Request
from oxidite.rates.base import Verdict
from oxidite.rates.rules import Rule

__all__ = ["FieldStyle", "Writer", "whole"]

_ROUNDING = 1e-6  # seconds

FieldStyle: TypeAlias = Literal["draft", "legacy", "none"]
"""``RateLimit-Policy`` and ``RateLimit``; or ``X-RateLimit-Limit``, ``-Remaining`` and ``-Reset``."""

_STATE = "oxidite.rate_limit"


class _Fields(Protocol):
    def __setitem__(self, name: str, value: str, /) -> None: ...


class Writer:
    """Writes the fields of some rules."""

    def __init__(self, rules: Sequence[Rule], style: FieldStyle) -> None:
        self._style = style
        self._rules = rules
        self._policy = ", ".join(rule.policy for rule in rules)
        self._names = [f'"{rule.name}";r=' for rule in rules]

    def write(self, request: Request, fields: _Fields, verdicts: Sequence[Verdict]) -> None:
        """Set the fields, together with those of limits further inside."""
        if self._style == "draft":
            state = request.state
            inner = state.get(_STATE)
            policy, left = self._policy, self._left(verdicts)
            if isinstance(inner, tuple):
                policy, left = f"{policy}, {inner[0]}", f"{left}, {inner[1]}"
            state[_STATE] = (policy, left)
            fields["ratelimit-policy"] = policy
            fields["ratelimit"] = left
        elif self._style == "legacy":
            self._write_legacy(fields, verdicts)

    def _left(self, verdicts: Sequence[Verdict]) -> str:
        members = []
        for name, verdict in zip(self._names, verdicts, strict=True):
            # Of those at once nobody knows when one of them will have been answered.
            seconds = whole(verdict.retry_after or verdict.reset)
            window = f";t={seconds}" if seconds else ""
            members.append(f"{name}{verdict.remaining}{window}")
        return ", ".join(members)

    def _write_legacy(self, fields: _Fields, verdicts: Sequence[Verdict]) -> None:
        pairs = zip(self._rules, verdicts, strict=True)
        rule, verdict = min(pairs, key=lambda pair: pair[1].remaining)
        fields["x-ratelimit-limit"] = str(rule.quota)
        fields["x-ratelimit-remaining"] = str(verdict.remaining)
        fields["x-ratelimit-reset"] = str(whole(verdict.retry_after or verdict.reset))


def whole(seconds: float) -> int:
    """Return whole seconds after which it is so; what rounding has left over is not one of them."""
    # The end of a window less the moment it began is not always the window: floats are not exact.
    return math.ceil(seconds - _ROUNDING)
