"""Jobs side by side with other queues: see ``__main__.py``."""
