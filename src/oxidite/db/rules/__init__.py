"""What is checked: values before they are written, scopes before anything runs, and what the database refused."""
