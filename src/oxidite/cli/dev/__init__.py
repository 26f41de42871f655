"""``oxidite dev``: serves while you write.

The supervisor holds the listening socket and never imports the application. A child does, and
inherits the socket. After a change a second child imports the new code first; only when that works
the first one is stopped and the second goes on. In between connections wait in the socket's queue:
none is refused. The next child is kept warm: it has imported the framework and waits for its turn.
"""
