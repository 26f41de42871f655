"""Expressions of queries: what has a value in each row."""
