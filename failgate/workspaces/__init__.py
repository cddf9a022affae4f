"""Workspaces, memberships and agents."""
