"""People: accounts, passwords, second factors, sessions, tokens."""
