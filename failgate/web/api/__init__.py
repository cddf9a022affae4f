"""Doors of one kind; see `failgate/web/routes.py` for the table of all of them."""
