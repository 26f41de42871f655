"""Statements as data: what is asked of the database, before there is any SQL."""
