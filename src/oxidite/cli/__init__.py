"""The ``oxidite`` command. Each command is a file that is imported when it runs."""
