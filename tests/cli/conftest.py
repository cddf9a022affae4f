"""The same process fixtures as for the client."""

from tests.client.conftest import environment, failgate, server, started, wire, work

__all__ = ["environment", "failgate", "server", "started", "wire", "work"]
