"""Numbers of values and bytes, for people."""

from __future__ import annotations

__all__ = ["size", "values"]


def size(count: int) -> str:
    """Return a number of bytes in its largest unit: ``412 B``, ``3.1 kB``."""
    if count < 1000:
        return f"{count} B"
    amount = float(count)
    for unit in ("kB", "MB", "GB"):
        amount /= 1000
        if amount < 999.95:
            return f"{amount:.1f} {unit}"
    return f"{amount / 1000:.1f} TB"


def values(count: int) -> str:
    """Return ``1 value`` or ``2 values``."""
    return f"{count} value{'' if count == 1 else 's'}"
