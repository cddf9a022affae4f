"""Recordings of shells: received in chained chunks while they run, kept as artifacts, read on record."""
