"""Backups: an installation in one file, and back. The records of it: `administration/backups.py`."""
