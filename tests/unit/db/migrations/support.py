"""Folders of migrations for tests, written as a person would."""

from __future__ import annotations

from pathlib import Path

from oxidite.db.migrations.history import HEAD, History


def write_history(folder: Path, *steps: tuple[str, str, str]) -> History:
    """Write migrations, each of a name, the body of ``up`` and that of ``down``; return the history."""
    folder.mkdir(exist_ok=True)
    for number, (name, up, down) in enumerate(steps, 1):
        add_migration(folder, number, name, up, down)
    return History.load(folder)


def add_migration(
    folder: Path, number: int, name: str, up: str, down: str | None, *, options: str = ""
) -> Path:
    """Write one migration after the one before it."""
    before = f'"{number - 1:04}"' if number > 1 else None
    back = ""
    if down is not None:
        back = f"\n\n@migration.down\ndef down(op: Ops) -> None:\n{_body(down)}"
    file = folder / f"{number:04}_{name}.py"
    file.write_text(
        "from oxidite.db import SQL\nfrom oxidite.db.migrations import NOW, Migration, Ops, column, index\n\n"
        f'migration = Migration(id="{number:04}", after={before}{options})\n\n\n'
        f"@migration.up\ndef up(op: Ops) -> None:\n{_body(up)}{back}"
    )
    (folder / HEAD).write_text(f"{file.stem}\n")
    return file


def _body(text: str) -> str:
    lines = text.strip().splitlines() or ["pass"]
    return "".join(f"    {line.strip()}\n" for line in lines)
