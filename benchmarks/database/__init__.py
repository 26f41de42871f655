"""The database side by side with other ORMs: see ``__main__.py``."""
