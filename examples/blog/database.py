"""The database, and the queue of jobs in it."""

from __future__ import annotations

from oxidite.config import env
from oxidite.db import Database
from oxidite.queue import Queue

# A file beside the program, or whatever the environment names: postgresql://… is all that it takes.
db = Database.from_url(env("DATABASE_URL", "sqlite:///blog.db"))

# In the same database: a job that a transaction pushes is there if the transaction is committed.
queue = Queue.from_url(env("QUEUE_URL", "db"), resources=[db])
