"""Verifies audit logs of Failgate: bundles, proofs, checkpoints. The standard library alone, nothing of the server."""

__version__ = "0.1.0"
