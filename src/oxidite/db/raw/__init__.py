"""SQL that a person wrote, and the rows it finds."""
