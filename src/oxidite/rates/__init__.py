"""Who may have how much in which time: rules, the algorithms that count, and what keeps the counts.

Nothing here knows of requests: ``oxidite.middleware.ratelimit`` holds those to rules, and whatever keeps
counts for several processes is a ``RateStore``, such as ``cache.rates``.
"""

from oxidite.rates.base import Claim, RateStore, Verdict
from oxidite.rates.memory import MemoryRates
from oxidite.rates.rules import Algorithm, Rule

__all__ = ["Algorithm", "Claim", "MemoryRates", "RateStore", "Rule", "Verdict"]
