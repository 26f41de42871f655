"""Times and lengths of time, as tables and JSON show them."""

from __future__ import annotations

from datetime import UTC, datetime

__all__ = ["ago", "iso", "length", "moment"]

_UNITS = ((86_400.0, "d"), (3600.0, "h"), (60.0, "min"), (1.0, "s"))


def iso(seconds: float | None) -> str | None:
    """Return a time of a store for programs."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat()


def moment(when: datetime | None) -> str:
    """Return a time for people, with its zone."""
    return "" if when is None else f"{when:%Y-%m-%d %H:%M:%S %Z}"


def length(seconds: float) -> str:
    """Return a length of time in its largest unit: ``3 min``, ``120 ms``."""
    for size, unit in _UNITS:
        # Rounded first: an hour that has just begun is an hour, not 60 min.
        if round(seconds) >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds * 1000:.0f} ms"


def ago(when: float, now: float) -> str:
    """Return how long ago something was, or how soon it is."""
    if abs(when - now) < 1:
        return "now"
    return f"{length(now - when)} ago" if when < now else f"in {length(when - now)}"
