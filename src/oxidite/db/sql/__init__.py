"""What expressions are in the SQL of each database. Only ``compiler.py`` imports it: it needs SQLAlchemy."""
