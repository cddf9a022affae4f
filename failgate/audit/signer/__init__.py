"""The signer as a program of its own: it keeps the log's key, and signs no head that does not continue its last one."""
