"""The cache side by side with other ways to the same end; each file is a program."""
