"""What a command runs, and which rules speak of it. Pure; the server judges by it, and a pinned machine by itself."""
