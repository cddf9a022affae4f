"""`failgate admin …`: for scripts and operators on the server's own host."""
