"""The outbox: messages that leave if their transaction was committed; and tables of the package itself."""
