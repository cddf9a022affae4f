"""Backups, made beside open services and restored elsewhere, on both databases."""
