"""Jobs: work that is done later, elsewhere, again if it fails, and never lost.

::

    @task(retry=Retry(times=5))
    async def send_welcome(user_id: int, mailer: Mailer = given()) -> None: ...

    queue = Queue.from_url("db")
    app = Oxidite(resources=[db, queue])

    await queue.enqueue(send_welcome, 7)
    queue.cron("0 3 * * *", nightly.job(), zone="Europe/Berlin")
"""

from oxidite.carried import (
    Capture,
    Carried,
    Restore,
    carry,
)
from oxidite.queue.base import (
    Asked,
    BatchState,
    Claim,
    Count,
    Filter,
    JobState,
    JobStore,
    Limits,
    NewBatch,
    NewJob,
    Outcome,
    OutcomeKind,
    Pushed,
    QueueState,
    Rate,
    Ready,
    Schedule,
    Signal,
    StoredJob,
    TaskMinute,
    Unique,
    WorkerState,
)
from oxidite.queue.batches import (
    Batch,
)
from oxidite.queue.chunks import Chunk
from oxidite.queue.context import (
    JobContext,
    current_job,
)
from oxidite.queue.cron import (
    Cron,
)
from oxidite.queue.errors import (
    JobArgumentsError,
    JobCancelledError,
    JobFailedError,
    JobLostError,
    JobNotFoundError,
    JobProcessError,
    JobStepNotFoundError,
    JobTimeoutError,
    JobTooLargeError,
    JobUnreadableError,
    TaskError,
)
from oxidite.queue.events import EventKey
from oxidite.queue.failures import (
    Failure,
    failures_of,
    last_failure,
)
from oxidite.queue.handle import (
    Handle,
    JobUpdate,
    Progress,
)
from oxidite.queue.health import Recycle, WorkerHealth
from oxidite.queue.leases import Keeper
from oxidite.queue.making import JobMaker, JobPusher
from oxidite.queue.options import Options, Uniqueness
from oxidite.queue.queue import (
    Queue,
)
from oxidite.queue.retry import (
    Retry,
)
from oxidite.queue.schedules import (
    Missed,
    Overlap,
    Planned,
    ScheduleNotFoundError,
    Schedules,
)
from oxidite.queue.signature import Signature
from oxidite.queue.task import (
    AsyncTask,
    Call,
    ChunkDecorator,
    ChunkTask,
    Decorator,
    Link,
    SyncTask,
    Task,
    Upgrade,
    given,
    task,
)
from oxidite.queue.tasks import Tasks, UnknownTaskError
from oxidite.queue.verdicts import (
    Cancel,
    Discard,
    RetryAt,
    Snooze,
)
from oxidite.queue.worker import (
    Worker,
)

__all__ = [
    "Asked",
    "AsyncTask",
    "Batch",
    "BatchState",
    "Call",
    "Cancel",
    "Capture",
    "Carried",
    "Chunk",
    "ChunkDecorator",
    "ChunkTask",
    "Claim",
    "Count",
    "Cron",
    "Decorator",
    "Discard",
    "EventKey",
    "Failure",
    "Filter",
    "Handle",
    "JobArgumentsError",
    "JobCancelledError",
    "JobContext",
    "JobFailedError",
    "JobLostError",
    "JobMaker",
    "JobNotFoundError",
    "JobProcessError",
    "JobPusher",
    "JobState",
    "JobStepNotFoundError",
    "JobStore",
    "JobTimeoutError",
    "JobTooLargeError",
    "JobUnreadableError",
    "JobUpdate",
    "Keeper",
    "Limits",
    "Link",
    "Missed",
    "NewBatch",
    "NewJob",
    "Options",
    "Outcome",
    "OutcomeKind",
    "Overlap",
    "Planned",
    "Progress",
    "Pushed",
    "Queue",
    "QueueState",
    "Rate",
    "Ready",
    "Recycle",
    "Restore",
    "Retry",
    "RetryAt",
    "Schedule",
    "ScheduleNotFoundError",
    "Schedules",
    "Signal",
    "Signature",
    "Snooze",
    "StoredJob",
    "SyncTask",
    "Task",
    "TaskError",
    "TaskMinute",
    "Tasks",
    "Unique",
    "Uniqueness",
    "UnknownTaskError",
    "Upgrade",
    "Worker",
    "WorkerHealth",
    "WorkerState",
    "carry",
    "current_job",
    "failures_of",
    "given",
    "last_failure",
    "task",
]
