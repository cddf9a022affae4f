"""Failgate: gate what agents run, keep what fails, prove what happened."""

__version__ = "0.1.0"
