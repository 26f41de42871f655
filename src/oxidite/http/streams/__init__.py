"""Responses of many items, made while they are sent: events, JSON Lines, CSV.

Imported by those who use it; what a handler yields is marked with ``Events``, ``Lines`` and ``Rows``
of ``oxidite.extract``.
"""

from oxidite.http.streams.events import Event
from oxidite.http.streams.eventstream import EventStream
from oxidite.http.streams.lines import JSONLines
from oxidite.http.streams.rows import CSVStream

__all__ = ["CSVStream", "Event", "EventStream", "JSONLines"]
