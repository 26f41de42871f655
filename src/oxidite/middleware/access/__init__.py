"""The access log: what is taken down of a request, how a line looks, and the thread that writes it."""

from oxidite.middleware.access.entry import AccessEntry, Outcome
from oxidite.middleware.access.log import AccessFormat, access_log

__all__ = ["AccessEntry", "AccessFormat", "Outcome", "access_log"]
