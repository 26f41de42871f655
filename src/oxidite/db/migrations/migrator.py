"""Brings a database to a point of its history, and says where it is."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from oxidite.clock import perf
from oxidite.db.connections.base import Connection
from oxidite.db.database import Database
from oxidite.db.migrations.counting import counted, replaced_rows
from oxidite.db.migrations.ddl import Step, Writer
from oxidite.db.migrations.errors import HistoryError, MigrationError, PendingMigrationsError
from oxidite.db.migrations.history import Entry, History, after, by_id
from oxidite.db.migrations.lock import MigrationLock
from oxidite.db.migrations.migration import Phase
from oxidite.db.migrations.operations import CreateTable, Schema
from oxidite.db.migrations.phases import command_for, needed, of_phase
from oxidite.db.migrations.runner import Progress, Runner
from oxidite.db.migrations.session import session
from oxidite.db.migrations.tracking import Applied, Tracking, moment
from oxidite.db.values.dialects import Dialect

__all__ = ["Line", "Migrator", "Planned", "Standing"]

Standing: TypeAlias = Literal["applied", "pending", "changed", "missing", "unfinished"]


@dataclass(frozen=True, slots=True)
class Line:
    """How a migration stands in a database."""

    id: str
    name: str
    state: Standing
    """``changed``: its file is another one since; ``missing``: it has none; ``unfinished``: it was stopped."""
    batch: int | None = None
    applied_at: str | None = None
    took_ms: int | None = None
    phase: Phase | None = None


@dataclass(frozen=True, slots=True)
class Planned:
    """What is to be run for a migration; a backfill is described as a comment."""

    name: str
    statements: tuple[str, ...]
    phase: Phase | None = None


class Migrator:
    """The migrations of one open database.

    ``lock_timeout`` are the seconds that a statement waits for a table before it is tried again, so
    that those who wait behind it do not wait for long. ``wait`` are those to wait for another one who
    migrates. ``told`` and ``waiting`` hear what goes on.
    """

    def __init__(
        self,
        database: Database,
        history: History,
        *,
        lock_timeout: float = 5.0,
        wait: float = 600.0,
        told: Callable[[Progress], object] = lambda _: None,
        began: Callable[[Entry], object] = lambda _: None,
        ended: Callable[[Entry, int], object] = lambda *_: None,
        waiting: Callable[[], object] | None = None,
    ) -> None:
        self.database: Database = database
        self.history: History = history
        self._lock_timeout = lock_timeout
        self._lock = MigrationLock(wait=wait, waiting=waiting)
        self._told = told
        self._began = began
        self._ended = ended

    @property
    def _dialect(self) -> Dialect:
        return self.database.dialect

    # Forth.

    async def up(
        self, *, to: str | None = None, phase: Phase | None = None, accept_changes: bool = False
    ) -> list[Applied]:
        """Do what is pending, up to and with the migration ``to``; return what was done.

        With the ``phase`` ``"expand"`` it ends before the first one of ``"contract"``, and with
        ``"contract"`` before the first one that is none: the order of the history is kept.

        Raises:
            HistoryError: what was applied before is not what the files say.
            MigrationFailedError: a migration did not run to its end.
            LockTimeoutError: somebody else did not come to an end.
        """
        last = None if to is None else self.history.find(to)
        done: list[Applied] = []
        async with session(
            self.database, self._lock, lock_timeout=self._lock_timeout
        ) as connection:
            tracking = Tracking(connection, self._dialect)
            await tracking.prepare()
            rows = counted(await tracking.all(), self.history, accept_changes=accept_changes)
            if accept_changes:
                await self._take_place(tracking, rows)
            await self._check(tracking, rows, accept_changes=accept_changes)
            batch = max((each.batch for each in rows.values()), default=0) + 1
            runner = Runner(connection, self._dialect, told=self._told)
            schema: Schema = {}
            for entry in self.history.entries:
                row = rows.get(entry.id)
                if row is None or not row.is_done:
                    if not of_phase(entry, phase):
                        break
                    self._began(entry)
                    is_first = not rows and not done
                    made = await self._adopted(connection, entry, batch) if is_first else None
                    if made is not None:
                        await tracking.insert(made)
                    else:
                        made = await runner.up(entry, schema, batch, row)
                    done.append(made)
                    self._ended(entry, made.took_ms)
                schema = after(entry, schema)
                if entry is last:
                    break
        return done

    async def _take_place(self, tracking: Tracking, rows: Mapping[str, Applied]) -> None:
        """Note a squashed migration in the place of those that it replaces, if there are notes of them."""
        squash = self.history.squash
        old = replaced_rows(await tracking.all(), squash) if squash else []
        if squash and old:
            await tracking.exchange(old, rows[squash.id])

    async def _adopted(self, connection: Connection, entry: Entry, batch: int) -> Applied | None:
        """Return the first migration as done, if the database has just what it makes.

        That is so where the tables were pushed before there was a history.
        """
        from oxidite.db.migrations.compare import differences

        schema = after(entry, {})
        made = [each for each in entry.migration.forth() if isinstance(each, CreateTable)]
        if not made or len(made) != len(entry.migration.forth()):
            return None
        found = await differences(connection, self._dialect, schema, others=False)
        missing = {f"the table {name} is missing" for name in schema}
        if missing <= set(found):
            return None
        if found:
            raise MigrationError(
                f"{entry.name} makes tables that are there already, but not as it makes them:\n\n"
                + "\n".join(f"    {each}" for each in found)
                + "\n\nIn development `oxidite db fresh` makes the database anew. Else bring the tables "
                "to where the migration would have them."
            )
        return Applied(entry.id, entry.name, entry.checksum, batch, moment(), 0)

    async def _check(
        self, tracking: Tracking, rows: dict[str, Applied], *, accept_changes: bool
    ) -> None:
        """See to it that what was applied is what the files say.

        Raises:
            HistoryError: it is not.
        """
        known = by_id(self.history.entries)
        gone = [each.name for key, each in rows.items() if key not in known]
        if gone:
            raise HistoryError(
                f"Applied, but without a file here: {', '.join(gone)}. Is this an older version of "
                "the application than the one that the database belongs to?"
            )
        changed = [
            known[key]
            for key, each in rows.items()
            if each.is_done and each.checksum != known[key].checksum
        ]
        if changed and not accept_changes:
            raise HistoryError(
                f"Changed after it was applied: {', '.join(each.name for each in changed)}. Other "
                "databases have what it was before. Put the file back and make a new migration; if "
                "the change does not matter, such as one of a comment: --accept-changes."
            )
        for each in changed:
            rows[each.id] = replace(rows[each.id], checksum=each.checksum)
            await tracking.update(rows[each.id])
        back = [each.name for each in rows.values() if each.state == "down"]
        if back:
            raise MigrationError(
                f"{back[0]} is on its way back and was stopped there. `oxidite db down` ends that."
            )
        pending = [each for each in self.history.entries if each.id not in rows]
        late = [each.name for each in pending if any(each.id < key for key in rows)]
        if late:
            raise HistoryError(
                f"{late[0]} comes before migrations that are applied already. `oxidite db rebase` puts "
                "it behind them."
            )

    # Back.

    async def down(
        self, *, steps: int = 1, batch: bool = False, to: str | None = None
    ) -> list[Applied]:
        """Undo the last ``steps`` migrations, or the last ``batch``, or all after ``to``; return them.

        Raises:
            MigrationError: one of them has no way back; nothing was done then.
            MigrationFailedError: one did not run to its end.
        """
        async with session(
            self.database, self._lock, lock_timeout=self._lock_timeout
        ) as connection:
            tracking = Tracking(connection, self._dialect)
            rows = counted(await tracking.all(), self.history)
            chosen = self._chosen(list(rows.values()), steps=steps, batch=batch, to=to)
            for entry, _ in chosen:
                entry.migration.back()
                if entry.migration.replaces:
                    await self._take_place(tracking, rows)
            runner = Runner(connection, self._dialect, told=self._told)
            for entry, row in chosen:
                self._began(entry)
                schema = after(entry, self.history.schema(before=entry))
                started = perf()
                await runner.down(entry, schema, row)
                self._ended(entry, round((perf() - started) * 1000))
        return [row for _, row in chosen]

    def _chosen(
        self, rows: Sequence[Applied], *, steps: int, batch: bool, to: str | None
    ) -> list[tuple[Entry, Applied]]:
        back = list(reversed(rows))
        if to is not None:
            last = "" if to in ("0", "zero") else self.history.find(to).id
            back = [each for each in back if each.id > last]
        elif batch:
            back = [each for each in back if each.batch == back[0].batch]
        else:
            back = back[:steps]
        known = by_id(self.history.entries)
        for each in back:
            if each.id not in known:
                raise HistoryError(
                    f"{each.name} was applied, and has no file here to undo it with."
                )
            if each.state == "up":
                raise MigrationError(
                    f"{each.name} is not finished. `oxidite db up` ends it; then it can be undone."
                )
            count = len(known[each.id].migration.replaces)
            if count and to is None:
                raise MigrationError(
                    f"{each.name} stands for {count} migrations: to undo it drops all tables that they made. "
                    "If that is meant: oxidite db down --to 0"
                )
        return [(known[each.id], each) for each in back]

    # Where it is.

    async def status(self) -> list[Line]:
        """Return how each migration stands, those without a file too; nothing is changed."""
        rows = await self._rows_as_they_are()
        # Somewhere in what was squashed: each stands for itself.
        with contextlib.suppress(HistoryError):
            rows = counted(list(rows.values()), self.history)
        known = by_id(self.history.entries)
        lines: list[Line] = []
        for key in sorted({*rows, *known}):
            row, entry = rows.get(key), known.get(key)
            name = entry.name if entry else rows[key].name
            state = _standing(row, entry)
            phase = entry.migration.phase if entry else None
            if row is None:
                lines.append(Line(key, name, state, phase=phase))
            else:
                noted = (row.batch, row.applied_at, row.took_ms)
                lines.append(Line(key, name, state, *noted, phase))
        return lines

    async def pending(self) -> list[Entry]:
        """Return the migrations that are still to be done, those that were stopped included."""
        rows = await self._rows()
        return [
            each
            for each in self.history.entries
            if each.id not in rows or not rows[each.id].is_done
        ]

    async def check(self) -> None:
        """See to it that nothing is pending that the application needs.

        What is of the phase ``"contract"`` at the end of the history is for when it runs.

        Raises:
            PendingMigrationsError: something is.
        """
        pending = needed(await self.pending())
        if pending:
            names = "\n".join(
                f"    {each.name}{f' ({each.migration.phase})' if each.migration.phase else ''}"
                for each in pending
            )
            raise PendingMigrationsError(
                f"The database is behind the application. {len(pending)} pending:\n\n{names}\n\n"
                f"Apply them first: {command_for(pending)}"
            )

    async def drift(self) -> list[str]:
        """Return what the database has other than its applied migrations make, in words."""
        from oxidite.db.migrations.compare import differences

        rows = await self._rows()
        if not rows:
            return []
        schema = self._schema(rows)
        async with session(self.database, None, lock_timeout=self._lock_timeout) as connection:
            return await differences(connection, self._dialect, schema)

    def _schema(self, rows: Mapping[str, Applied]) -> Schema:
        """Return the schema that the migrations that are done make."""
        schema: Schema = {}
        for entry in self.history.entries:
            if entry.id in rows and rows[entry.id].is_done:
                schema = after(entry, schema)
        return schema

    async def plan(self, *, to: str | None = None, phase: Phase | None = None) -> list[Planned]:
        """Return the SQL that ``up`` would run."""
        from oxidite.db.migrations.rebuild import look_at, unknown

        last = None if to is None else self.history.find(to)
        rows = await self._rows()
        live = {}
        if self._dialect.name == "sqlite":
            async with self.database.driver.connection(write=False) as connection:
                live = unknown(await look_at(connection), self._schema(rows))
        planned: list[Planned] = []
        schema: Schema = {}
        for entry in self.history.entries:
            row = rows.get(entry.id)
            if (row is None or not row.is_done) and not of_phase(entry, phase):
                break
            steps, following = Writer(self._dialect, live=live).write(
                entry.migration.forth(), schema
            )
            if row is None or not row.is_done:
                left = steps[row.position :] if row else steps
                planned.append(Planned(entry.name, tuple(_texts(left)), entry.migration.phase))
            schema = following
            if entry is last:
                break
        return planned

    async def _rows(self) -> dict[str, Applied]:
        rows = await self._rows_as_they_are()
        return counted(list(rows.values()), self.history)

    async def _rows_as_they_are(self) -> dict[str, Applied]:
        async with self.database.driver.connection(write=False) as connection:
            rows = await Tracking(connection, self._dialect).all()
        return {each.id: each for each in rows}


def _standing(row: Applied | None, entry: Entry | None) -> Standing:
    if row is None:
        return "pending"
    if entry is None:
        return "missing"
    if not row.is_done:
        return "unfinished"
    return "applied" if row.checksum == entry.checksum else "changed"


def _texts(steps: Sequence[Step]) -> Iterator[str]:
    for step in steps:
        if step.backfill is not None:
            pairs = ", ".join(f"{name} = {sql}" for name, sql in step.backfill.values.items())
            where = f" where {step.backfill.where}" if step.backfill.where else ""
            yield (
                f"-- {step.backfill.table}: {pairs}{where}, {step.backfill.batch} rows at a time, each "
                "in a transaction of its own"
            )
        yield from (sql.strip() for sql in step.statements)
