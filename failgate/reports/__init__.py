"""Failure reports: begun with a manifest and consent, filled with artifacts, sealed, read."""
