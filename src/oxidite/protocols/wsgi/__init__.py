"""WSGI applications (PEP 3333) inside an ASGI one.

::

    app.mount("/legacy", WSGI(flask_app))

``environ.py`` says what such an application is told, ``exchange.py`` how its thread talks to the
event loop.
"""

from __future__ import annotations

from oxidite.protocols.wsgi.application import WSGI

__all__ = ["WSGI"]
