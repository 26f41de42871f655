"""``oxidite cache``: looked into, invalidated, cleared and filled from outside of the application."""
