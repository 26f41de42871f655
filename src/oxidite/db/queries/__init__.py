"""Queries: ``Select`` and what it can do."""
