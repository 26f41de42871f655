"""The tables of jobs in SQL, ``ox_job…``.

``ox_jobs`` has the jobs, ``ox_job_workers`` who works, ``ox_job_queues`` the queues that pause or have
limits, with the group of which a job began last, ``ox_job_rates`` what those of begun jobs have counted,
``ox_job_batches`` what belongs together, ``ox_job_schedules`` the plans of times, ``ox_job_roles`` who has
a role, ``ox_job_minutes`` the statistics. ``ox_job_events`` has what was signalled, and ``ox_job_waits`` which
job listens for what.

A job is in one of seven states. Of what waits only what is ready is ever searched for a claim, by an index
of its own: neither a million jobs that are not yet due nor those beyond a limit stand in its way, and what
runs or has ended is not in that index. Of a queue that is fair another one has what is ready by group.
"""

from __future__ import annotations

from collections.abc import Iterable

from oxidite.db.outbox.own_tables import OwnTables

__all__ = ["CANCELLED", "COMPLETED", "DEAD", "LATER", "PARKED", "READY", "RUNNING", "TABLES"]

READY, LATER, PARKED, RUNNING, COMPLETED, CANCELLED, DEAD = range(7)
"""The column ``state``. The first three are what a user knows as waiting: due, until ``wake_at``, and
until another one of its group ends."""

_TABLES = (
    (
        "CREATE TABLE ox_jobs (id {id} NOT NULL PRIMARY KEY, queue {text} NOT NULL,"
        " task {text} NOT NULL, state SMALLINT NOT NULL, grade INTEGER NOT NULL,"
        " attempt INTEGER NOT NULL DEFAULT 0, failures INTEGER NOT NULL DEFAULT 0,"
        " crashes INTEGER NOT NULL DEFAULT 0, version INTEGER NOT NULL, pushed_at {time} NOT NULL,"
        " due_at {time} NOT NULL, wake_at {time} NOT NULL, started_at {time}, ended_at {time},"
        " expires {time}, waited {time} NOT NULL DEFAULT 0, timeout {time} NOT NULL,"
        " keep {time} NOT NULL, worker {text}, cancel_asked SMALLINT NOT NULL DEFAULT 0, grp {text},"
        " batch {id}, ukey {key}, args {data} NOT NULL, context {data} NOT NULL, flow {data} NOT NULL,"
        " progress {data}, saved {data}, result {data}, errors {data})"
    ),
    (
        "CREATE TABLE ox_job_workers (name {text} NOT NULL PRIMARY KEY, about {data} NOT NULL,"
        " lease_until {time} NOT NULL)"
    ),
    (
        "CREATE TABLE ox_job_queues (name {text} NOT NULL PRIMARY KEY,"
        " paused SMALLINT NOT NULL DEFAULT 0, limits {data})"
    ),
    (
        "CREATE TABLE ox_job_rates (queue {text} NOT NULL, grp {text} NOT NULL, full_at {time} NOT NULL,"
        " PRIMARY KEY (queue, grp))"
    ),
    (
        "CREATE TABLE ox_job_batches (id {id} NOT NULL PRIMARY KEY, total INTEGER NOT NULL,"
        " completed INTEGER NOT NULL DEFAULT 0, failed INTEGER NOT NULL DEFAULT 0, ended_at {time},"
        " about {data} NOT NULL, follows {data} NOT NULL)"
    ),
    (
        "CREATE TABLE ox_job_schedules (name {text} NOT NULL PRIMARY KEY, plan {data} NOT NULL,"
        " origin {text} NOT NULL, enabled SMALLINT NOT NULL, since {time} NOT NULL, last {time})"
    ),
    (
        "CREATE TABLE ox_job_roles (role {text} NOT NULL PRIMARY KEY, worker {text} NOT NULL,"
        " lease_until {time} NOT NULL)"
    ),
    # Each process adds to rows of its own, its shard: else one would wait for the commit of the other.
    (
        "CREATE TABLE ox_job_minutes (minute {time} NOT NULL, queue {text} NOT NULL,"
        " task {text} NOT NULL, shard INTEGER NOT NULL, completed INTEGER NOT NULL,"
        " retried INTEGER NOT NULL, dead INTEGER NOT NULL, seconds {time} NOT NULL,"
        " slowest {time} NOT NULL, waited {time} NOT NULL,"
        " PRIMARY KEY (minute, queue, task, shard))"
    ),
)
_PARTIAL = (
    "CREATE INDEX ox_jobs_ready ON ox_jobs (queue, grade, due_at, id) WHERE state = 0",
    "CREATE INDEX ox_jobs_later ON ox_jobs (queue, wake_at) WHERE state = 1",
    "CREATE INDEX ox_jobs_parked ON ox_jobs (queue, grp, grade, due_at, id) WHERE state = 2",
    "CREATE INDEX ox_jobs_running ON ox_jobs (worker) WHERE state = 3",
    "CREATE INDEX ox_jobs_expires ON ox_jobs (expires) WHERE expires IS NOT NULL",
    "CREATE INDEX ox_jobs_unique ON ox_jobs (ukey, pushed_at) WHERE ukey IS NOT NULL",
    "CREATE INDEX ox_jobs_batch ON ox_jobs (batch) WHERE batch IS NOT NULL",
)
_WHOLE = (
    "CREATE INDEX ox_jobs_ready ON ox_jobs (state, queue, grade, due_at, id)",
    "CREATE INDEX ox_jobs_later ON ox_jobs (state, queue, wake_at)",
    "CREATE INDEX ox_jobs_running ON ox_jobs (worker)",
    "CREATE INDEX ox_jobs_expires ON ox_jobs (expires)",
    "CREATE INDEX ox_jobs_unique ON ox_jobs (ukey, pushed_at)",
    "CREATE INDEX ox_jobs_batch ON ox_jobs (batch)",
    # In MySQL a key is locked until it is known that nobody has it: see pushing.py.
    "CREATE TABLE ox_job_keys (name VARBINARY(255) NOT NULL PRIMARY KEY)",
)
_EVENTS = (
    (
        "CREATE TABLE ox_job_events (event {key} NOT NULL PRIMARY KEY, data {data},"
        " expires {time} NOT NULL)"
    ),
    (
        "CREATE TABLE ox_job_waits (job {id} NOT NULL PRIMARY KEY, event {key} NOT NULL,"
        " about {data} NOT NULL, data {data}, parked INTEGER NOT NULL)"
    ),
    "CREATE INDEX ox_job_events_expires ON ox_job_events (expires)",
    "CREATE INDEX ox_job_waits_event ON ox_job_waits (event)",
)
_TURN = "ALTER TABLE ox_job_queues ADD COLUMN turn {text}"
_TURNS = "CREATE INDEX ox_jobs_turns ON ox_jobs (queue, grp, grade, due_at, id) WHERE state = 0"
_TURNS_WHOLE = "CREATE INDEX ox_jobs_turns ON ox_jobs (state, queue, grp, grade, due_at, id)"
_KINDS = {
    "sqlite": {"id": "BLOB", "text": "TEXT", "key": "BLOB", "data": "BLOB", "time": "REAL"},
    "postgresql": {
        "id": "UUID",
        "text": 'TEXT COLLATE "C"',
        "key": "BYTEA",
        "data": "BYTEA",
        "time": "DOUBLE PRECISION",
    },
    "mysql": {
        "id": "BINARY(16)",
        "text": "VARCHAR(250) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
        "key": "VARBINARY(255)",
        "data": "LONGBLOB",
        "time": "DOUBLE",
    },
}


def _steps(kind: str) -> list[str]:
    made = [sql.format(**_KINDS[kind]) for sql in _TABLES]
    return [*made, *(_WHOLE if kind == "mysql" else _PARTIAL)]


def _begun_anew(made: Iterable[str]) -> list[str]:
    """Return steps as MySQL has them, where no making of a table is undone: what is left of a try is dropped."""
    steps = list(made)
    tables = [sql.split()[2] for sql in steps if sql.startswith("CREATE TABLE")]
    return [*(f"DROP TABLE IF EXISTS {name}" for name in tables), *steps]


def _events(kind: str) -> list[str]:
    return [sql.format(**_KINDS[kind]) for sql in _EVENTS]


def _unless(where: str, table: str, there: str, sql: str) -> tuple[str, ...]:
    """Return what makes something where ``information_schema`` does not have it yet; not every MySQL can say so itself."""
    found = (
        f"SELECT 1 FROM information_schema.{where} WHERE table_schema = DATABASE() "  # noqa: S608 - ours
        f"AND table_name = '{table}' AND {there}"
    )
    return (
        f"SET @ox_step = IF(EXISTS ({found}), 'DO 0', '{sql}')",
        "PREPARE ox_step FROM @ox_step",
        "EXECUTE ox_step",
        "DEALLOCATE PREPARE ox_step",
    )


TABLES = OwnTables(
    "queue",
    [
        {
            "sqlite": _steps("sqlite"),
            "postgresql": (
                *_steps("postgresql"),
                # What is claimed and what has ended leaves dead entries in the index of what is ready.
                (
                    "ALTER TABLE ox_jobs SET (autovacuum_vacuum_scale_factor = 0.01,"
                    " autovacuum_vacuum_threshold = 1000, autovacuum_analyze_scale_factor = 0.05)"
                ),
            ),
            "mysql": _begun_anew(_steps("mysql")),
        },
        {
            "sqlite": _events("sqlite"),
            "postgresql": _events("postgresql"),
            "mysql": _begun_anew(_events("mysql")),
        },
        {
            "sqlite": (_TURN.format(**_KINDS["sqlite"]), _TURNS),
            "postgresql": (_TURN.format(**_KINDS["postgresql"]), _TURNS),
            # One that did not come to its end may have done a part of it.
            "mysql": (
                *_unless(
                    "columns",
                    "ox_job_queues",
                    "column_name = 'turn'",
                    _TURN.format(**_KINDS["mysql"]),
                ),
                *_unless("statistics", "ox_jobs", "index_name = 'ox_jobs_turns'", _TURNS_WHOLE),
            ),
        },
    ],
)
