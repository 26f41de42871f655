"""``oxidite``, where ``shared://`` is known: ``python -m tests.faults.queue.work queue work …``."""

from __future__ import annotations

import sys

from tests.faults.queue.ears import listen
from tests.queue_server import register

from oxidite.cli.main import main

if __name__ == "__main__":
    register()
    listen()
    sys.exit(main())
