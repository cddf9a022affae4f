"""The group of all rooms."""

import click

from failgate.cli.admin import installation, people, programs


@click.group()
def admin() -> None:
    """Accounts, workspaces, agents, keys and rules, from the server's own host."""


admin.add_command(people.bootstrap)
for room in (*people.ROOMS, *programs.ROOMS, *installation.ROOMS):
    admin.add_command(room)
