"""What every backend of a kind promises, as tests: subclass a contract and give it the fixture it names.

::

    class TestMyBackend(CacheBackendContract):
        @pytest.fixture
        async def backend(self) -> AsyncIterator[CacheBackend]:
            async with MyBackend() as backend:
                yield backend
"""

from oxidite.testing.contracts.cache import CacheBackendContract
from oxidite.testing.contracts.fair import FairQueueContract
from oxidite.testing.contracts.job_events import JobEventsContract
from oxidite.testing.contracts.queue import JobStoreContract
from oxidite.testing.contracts.rates import RateStoreContract
from oxidite.testing.contracts.replies import ReplyStoreContract

__all__ = [
    "CacheBackendContract",
    "FairQueueContract",
    "JobEventsContract",
    "JobStoreContract",
    "RateStoreContract",
    "ReplyStoreContract",
]
