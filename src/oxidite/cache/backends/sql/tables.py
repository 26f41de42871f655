"""The tables of a cache in SQL, ``ox_cache…``.

``ox_cache`` has the values, ``ox_cache_claims`` who makes one, ``ox_cache_tags`` the epochs of tags,
``ox_cache_locks`` who holds a place, ``ox_cache_rates`` the counts of limits. ``ox_cache_state`` has two
numbers, each in a row to be locked: that of the last invalidation, and the last fencing number.
``ox_cache_changes`` tells other processes, where the database has no channels for that.

In PostgreSQL what may be lost is UNLOGGED: it is not written to the log, which makes it several times as
fast, and is empty after the server has crashed, and on a replica that takes over. Numbers and locks are
not: an invalidation or a lock that was given outlives the crash.
"""

from __future__ import annotations

from oxidite.db.outbox.own_tables import OwnTables

__all__ = ["EPOCHS", "FENCES", "TABLES"]

EPOCHS, FENCES = 1, 2
"""The ids of the rows of ``ox_cache_state``."""

_STEPS = (
    (
        "CREATE {unlogged}TABLE ox_cache (name {text} PRIMARY KEY, value {data} NOT NULL,"
        " ends {time}, made {time} NOT NULL, size BIGINT NOT NULL)"
    ),
    (
        "CREATE {unlogged}TABLE ox_cache_claims (name {text} PRIMARY KEY, token {text} NOT NULL,"
        " ends {time} NOT NULL)"
    ),
    (
        "CREATE {unlogged}TABLE ox_cache_tags (name {text} PRIMARY KEY, hard BIGINT NOT NULL,"
        " soft BIGINT NOT NULL, made {time} NOT NULL)"
    ),
    (
        "CREATE {unlogged}TABLE ox_cache_rates (name {text} PRIMARY KEY, state {data} NOT NULL,"
        " ends {time} NOT NULL)"
    ),
    (
        "CREATE TABLE ox_cache_locks (name {text} NOT NULL, owner {text} NOT NULL,"
        " number BIGINT NOT NULL, ends {time} NOT NULL, PRIMARY KEY (name, owner))"
    ),
    "CREATE TABLE ox_cache_state (id INTEGER PRIMARY KEY, number BIGINT NOT NULL)",
    (
        "CREATE {unlogged}TABLE ox_cache_changes (id {key}, origin {text} NOT NULL,"
        " kind {text} NOT NULL, name {text} NOT NULL, hard BIGINT NOT NULL, soft BIGINT NOT NULL)"
    ),
    # With the size: the sum of all is read from the index alone.
    "CREATE INDEX ox_cache_made ON ox_cache (made, size)",
    "CREATE INDEX ox_cache_ends ON ox_cache (ends)",
    "CREATE INDEX ox_cache_claims_ends ON ox_cache_claims (ends)",
    "CREATE INDEX ox_cache_tags_made ON ox_cache_tags (made)",
    "CREATE INDEX ox_cache_locks_ends ON ox_cache_locks (ends)",
    "CREATE INDEX ox_cache_rates_ends ON ox_cache_rates (ends)",
    # Beyond what an earlier store in the same place had: what outlived it must not look new.
    "INSERT INTO ox_cache_state (id, number) VALUES (1, CAST({now} * 1000000 AS {whole}))",
    "INSERT INTO ox_cache_state (id, number) VALUES (2, CAST({now} * 1000000 AS {whole}))",
)
_KINDS = {
    "sqlite": {
        "unlogged": "",
        "text": "TEXT",
        "data": "BLOB",
        "time": "REAL",
        "key": "INTEGER PRIMARY KEY AUTOINCREMENT",
        "whole": "INTEGER",
    },
    "postgresql": {
        "unlogged": "UNLOGGED ",
        "text": 'TEXT COLLATE "C"',
        "data": "BYTEA",
        "time": "DOUBLE PRECISION",
        "key": "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
        "whole": "BIGINT",
    },
    "mysql": {
        "unlogged": "",
        "text": "VARCHAR(250) CHARACTER SET ascii COLLATE ascii_bin",
        "data": "LONGBLOB",
        "time": "DOUBLE",
        "key": "BIGINT AUTO_INCREMENT PRIMARY KEY",
        "whole": "SIGNED",
    },
}


def _steps(kind: str) -> list[str]:
    steps = []
    for sql in _STEPS:
        for name, type_ in _KINDS[kind].items():
            sql = sql.replace(f"{{{name}}}", type_)  # noqa: PLW2901 - one after the other
        steps.append(sql)
    return steps


TABLES = OwnTables(
    "cache",
    [
        {
            "sqlite": _steps("sqlite"),
            "postgresql": (
                *_steps("postgresql"),
                # It would try to compress what is compressed already.
                "ALTER TABLE ox_cache ALTER COLUMN value SET STORAGE EXTERNAL",
            ),
            "mysql": (
                # What one has left that did not come to its end: no making of a table is undone there.
                *(
                    f"DROP TABLE IF EXISTS {sql.split()[2]}"
                    for sql in _steps("mysql")
                    if sql.startswith("CREATE TABLE")
                ),
                *_steps("mysql"),
            ),
        }
    ],
)
