"""Moments in time, which a datetime without a time zone is not."""

from __future__ import annotations

from datetime import datetime

__all__ = ["check_zone"]


def check_zone(value: datetime) -> None:
    """See to it that a datetime is a moment.

    Raises:
        ValueError: it has no time zone.
    """
    if value.tzinfo is None:
        raise ValueError(
            f"{value!r} has no time zone, so it is no moment in time. Use oxidite.clock.now(), or "
            "say which zone it is in: value.replace(tzinfo=...)."
        )
