"""``python -m oxidite``."""

from __future__ import annotations

import sys

from oxidite.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
