"""What an auditor takes from the log: saved views, exports. The log itself is `failgate.audit`."""
