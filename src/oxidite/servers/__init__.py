"""Servers: start and supervise one for an application.

::

    server = choose_server()                      # granian if it is installed, else uvicorn
    server.run(Target("blog.main", "app"), Settings(port=8080, workers=4))
"""

from oxidite.servers.base import (
    TLS,
    AccessLog,
    Announce,
    Application,
    HTTPVersions,
    Interface,
    ListenError,
    Renewal,
    Server,
    Settings,
)
from oxidite.servers.choice import SERVERS, choose_server, installed_servers
from oxidite.servers.examine import examine
from oxidite.servers.hosting import WorkerPlan
from oxidite.servers.interface import choose_interface
from oxidite.servers.target import ImportFailedError, Target, TargetError

__all__ = [
    "SERVERS",
    "TLS",
    "AccessLog",
    "Announce",
    "Application",
    "HTTPVersions",
    "ImportFailedError",
    "Interface",
    "ListenError",
    "Renewal",
    "Server",
    "Settings",
    "Target",
    "TargetError",
    "WorkerPlan",
    "choose_interface",
    "choose_server",
    "examine",
    "installed_servers",
]
