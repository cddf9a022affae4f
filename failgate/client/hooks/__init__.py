"""Hooks: an agent program asks before it uses a tool and tells how it ended. Whatever fails here blocks the call."""
