"""The files of the migrations: one after the other, no two after the same one.

``HEAD`` holds the name of the last one in a line of its own. Two branches that each add a migration
change that line, so git sees a conflict when they are merged, and not the deployment.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from oxidite.db.migrations.errors import HistoryError, MigrationError
from oxidite.db.migrations.migration import Migration
from oxidite.db.migrations.operations import Operation, Schema

__all__ = ["HEAD", "Entry", "History"]

HEAD = "HEAD"
_FILE = re.compile(r"(\d{4,})_([a-z0-9_]+)\.py")
_CONFLICT = ("<<<<<<<", "=======", ">>>>>>>")


@dataclass(frozen=True, slots=True)
class Entry:
    """A migration and its file."""

    file: Path
    migration: Migration
    checksum: str
    """Of its file, whatever its line ends."""

    @property
    def id(self) -> str:
        """Its number."""
        return self.migration.id

    @property
    def name(self) -> str:
        """Number and words."""
        return self.file.stem


class History:
    """The migrations of one database, in order.

    Raises:
        HistoryError: the files do not make one history.
    """

    def __init__(self, folder: Path, entries: Sequence[Entry] = ()) -> None:
        self.folder: Path = folder
        self.entries: tuple[Entry, ...] = tuple(entries)

    @classmethod
    def load(cls, folder: Path) -> History:
        """Read the migrations of a folder; there are none if it does not exist."""
        entries = load_entries(folder)
        _check_order(entries)
        _check_head(folder, entries)
        return cls(folder, entries)

    def __len__(self) -> int:
        return len(self.entries)

    @property
    def last(self) -> Entry | None:
        """The last one."""
        return self.entries[-1] if self.entries else None

    @property
    def squash(self) -> Entry | None:
        """The first one, if it replaces others."""
        first = self.entries[0] if self.entries else None
        return first if first is not None and first.migration.replaces else None

    def find(self, name: str) -> Entry:
        """Return a migration by its number or name.

        Raises:
            HistoryError: there is none.
        """
        for each in self.entries:
            if name in (each.id, each.name) or each.id.lstrip("0") == name:
                return each
        squash = self.squash
        for replaced in squash.migration.replaces if squash else ():
            if squash and name in (replaced, replaced.partition("_")[0]):
                raise HistoryError(f"{replaced} is a part of {squash.name} now.")
        raise HistoryError(
            f"There is no migration {name!r} in {self.folder}. "
            f"There is: {', '.join(each.name for each in self.entries) or 'none'}."
        )

    def schema(self, *, before: Entry | None = None) -> Schema:
        """Return the schema that they make, all of them or those before one.

        Raises:
            MigrationError: one cannot be done after those before it.
        """
        schema: Schema = {}
        for each in self.entries:
            if each is before:
                break
            schema = after(each, schema)
        return schema


def load_entries(folder: Path) -> list[Entry]:
    """Read the files of a folder, in the order of their names, whether or not they fit together."""
    files = sorted(each for each in folder.glob("*.py") if each.name != "__init__.py")
    return [_load(each) for each in files]


def after(entry: Entry, schema: Schema) -> Schema:
    """Return the schema after a migration."""
    return follow(entry.migration.forth(), schema, entry.name)


def follow(operations: Sequence[Operation], schema: Schema, name: str) -> Schema:
    """Return the schema after operations, those of the migration ``name``."""
    for operation in operations:
        try:
            schema = operation.after(schema)
        except MigrationError as exc:
            raise MigrationError(f"{name}: {exc.message}") from None
    return schema


def checksum(text: str) -> str:
    """Return the checksum of a file's text."""
    return hashlib.sha256(text.replace("\r\n", "\n").encode()).hexdigest()


def _load(file: Path) -> Entry:
    found = _FILE.fullmatch(file.name)
    if found is None:
        raise HistoryError(
            f"{file} is no name of a migration: that is 0007_add_user_age.py, four digits, and words "
            "of small letters."
        )
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, ValueError) as exc:
        raise HistoryError(f"{file} cannot be read: {exc}") from None
    module = ModuleType(f"oxidite_migration_{file.stem}")
    module.__file__ = str(file)
    try:
        # Compiled here: an import would need a package of it, and would leave compiled files behind.
        exec(compile(text, str(file), "exec", dont_inherit=True), module.__dict__)  # noqa: S102 - the program's own file
    except Exception as exc:
        raise HistoryError(f"{file} cannot be loaded: {type(exc).__name__}: {exc}") from exc
    migration = module.__dict__.get("migration")
    if not isinstance(migration, Migration):
        raise HistoryError(f"{file} has no `migration = Migration(id=…, after=…)`.")
    if migration.id != found.group(1):
        raise HistoryError(
            f"{file} holds the migration {migration.id!r}: its id is the number in its name, "
            f"{found.group(1)!r}."
        )
    return Entry(file, migration, checksum(text))


def _check_order(entries: Sequence[Entry]) -> None:
    follows: dict[str | None, Entry] = {}
    for each in entries:
        other = follows.setdefault(each.migration.after, each)
        if other is not each:
            raise HistoryError(
                f"{other.name} and {each.name} both come after "
                f"{each.migration.after or 'the beginning'}. They were made on two branches: "
                "`oxidite db rebase` puts the newer one behind."
            )
    before: str | None = None
    for each in entries:
        if each.migration.after != before:
            raise HistoryError(
                f"{each.name} comes after {each.migration.after!r}, and the one before it is "
                f"{before!r}. Is a file missing?"
            )
        if each.migration.replaces and before is not None:
            raise HistoryError(
                f"{each.name} replaces others, and is not the first one: only what comes from the beginning "
                "can be squashed."
            )
        before = each.id


def _check_head(folder: Path, entries: Sequence[Entry]) -> None:
    file = folder / HEAD
    said = file.read_text(encoding="utf-8").strip() if file.is_file() else ""
    last = entries[-1].name if entries else ""
    if any(mark in said for mark in _CONFLICT):
        raise HistoryError(
            f"{file} has a conflict of git: two branches made a migration each. "
            "`oxidite db rebase` puts them in a row."
        )
    if said != last:
        raise HistoryError(
            f"{file} says {said or 'nothing'!r}, and the last migration is {last or 'none'!r}. Is a "
            "file missing, or was one added by hand? The file holds the name of the last one."
        )


def by_id(entries: Sequence[Entry]) -> Mapping[str, Entry]:
    """Return migrations by number."""
    return {each.id: each for each in entries}
