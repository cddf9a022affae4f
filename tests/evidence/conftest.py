"""The log of `tests/audit`, for what is made of it."""

from tests.audit.conftest import audit

__all__ = ["audit"]
