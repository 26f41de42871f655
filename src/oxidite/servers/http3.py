"""HTTP/3."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from oxidite.servers.base import Settings
from oxidite.servers.supervisor import Start
from oxidite.servers.target import Target


@contextlib.contextmanager
def http3_worker(app: Target, settings: Settings) -> Iterator[Start | None]:
    yield None
