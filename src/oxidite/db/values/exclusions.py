"""What triggers that keep exclusion constraints in SQLite are called, and what they raise."""

from __future__ import annotations

__all__ = ["EXCLUDED"]

EXCLUDED = "ox_exclude_"
"""How the names of triggers begin, and what they raise; the name of the constraint follows."""
