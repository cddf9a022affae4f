"""The `failgate` command."""
