"""What tests of inspection use: models are read, looked at by ruff, and imported as a program does."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any
from uuid import uuid4

from oxidite.db import Database, Model
from oxidite.db.inspection.reading import read_tables
from oxidite.db.inspection.writing import models_text
from oxidite.db.migrations.compare import differences
from oxidite.db.migrations.models import schema_of
from oxidite.db.tables.table import Table


async def inspected(db: Database, *names: str) -> str:
    return models_text(await read_tables(db, names), db.dialect)


def imported(text: str, folder: Path) -> ModuleType:
    """Import models as a program does, after ruff has looked at them."""
    file = folder / f"models_{uuid4().hex}.py"
    file.write_text(text)
    for command in (("check", "--select=E4,E7,E9,F,W,I,N,UP"), ("format", "--check", "--diff")):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "--isolated", "--line-length=88", str(file)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}\n{text}"
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[file.stem] = module
    spec.loader.exec_module(module)
    return module


def tables_in(module: ModuleType) -> list[Table]:
    return [
        each.__table__
        for each in vars(module).values()
        if isinstance(each, type) and issubclass(each, Model) and each is not Model
    ]


async def run(db: Database, *statements: str) -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = []
    async with db.driver.connection(write=True) as connection:
        for sql in statements:
            rows = [tuple(row) for row in await connection.fetch(sql, ())]
    return rows


async def compared(db: Database, tables: list[Table]) -> list[str]:
    async with db.driver.connection(write=True) as connection:
        return await differences(connection, db.dialect, schema_of(tables, db.dialect))
