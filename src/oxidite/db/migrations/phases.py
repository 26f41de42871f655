"""The two phases of a change while two versions of an application run beside each other.

What is of ``expand`` comes before the new version is started, and the old one can live with it; what is of
``contract`` comes when no old one runs any more. The history stays one line: a phase says where to stop.
"""

from __future__ import annotations

from collections.abc import Sequence

from oxidite.db.migrations.history import Entry
from oxidite.db.migrations.migration import Phase

__all__ = ["command_for", "needed", "of_phase"]


def of_phase(entry: Entry, phase: Phase | None) -> bool:
    """Tell whether a pending migration is run when a phase is asked for; ``None`` asks for all."""
    if phase is None:
        return True
    return (entry.migration.phase == "contract") is (phase == "contract")


def needed(pending: Sequence[Entry]) -> list[Entry]:
    """Return the pending migrations without those of ``contract`` at the end, for which a version can wait."""
    found = list(pending)
    while found and found[-1].migration.phase == "contract":
        found.pop()
    return found


def command_for(pending: Sequence[Entry]) -> str:
    """Return the command for migrations that the application needs, while others may run the one before."""
    phases = [each.migration.phase for each in pending]
    if "contract" in phases:
        return (
            "oxidite db up. Those of the phase contract are in the way, from a change before: is no version "
            "running any more that needs what they take away?"
        )
    return "oxidite db up --phase expand" if "expand" in phases else "oxidite db up"
