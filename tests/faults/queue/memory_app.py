"""An application whose queue is in the memory of one process."""

from __future__ import annotations

from oxidite import Oxidite
from oxidite.queue import Queue

app = Oxidite(resources=[Queue.from_url("memory://", tasks=[__name__])])
