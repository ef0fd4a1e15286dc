"""The directories that commands leave, as values: what was trained, tested and looked at, and by which command."""
