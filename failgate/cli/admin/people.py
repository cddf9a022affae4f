"""Accounts, workspaces, members, invitations, the platform role."""

import click

from failgate.cli.admin.command import (
    EMAIL,
    PASSWORD,
    ROLE,
    WORKSPACE,
    Request,
    Room,
    as_they_are,
    command,
    read_password,
)

bootstrap = command(
    "bootstrap",
    "Make the first account and its workspace; print an API key.",
    *(EMAIL, WORKSPACE, PASSWORD),
    request=as_they_are("bootstrap"),
)

user = Room("user", "Accounts.")
workspace = Room("workspace", "Workspaces.")
invitation = Room("invitation", "Invitations into a workspace.")
platform_role = Room("platform-role", "The role for the installation's own pages.")
ROOMS = (user, workspace, invitation, platform_role)


def _new_user(*, email: str, with_totp: bool, reads_password: bool, reads_hash: bool) -> Request:
    if reads_password == reads_hash:
        raise click.UsageError("Say --password-stdin or --password-hash-stdin.")
    given = read_password()
    if reads_hash:
        return "user.import", {"email": email, "password_hash": given.strip(), "with_totp": with_totp}
    return "user.create", {"email": email, "password": given, "with_totp": with_totp}


user.add_command(
    command(
        "create",
        "Make an account.",
        EMAIL,
        click.Option(
            ["--password-stdin", "reads_password"], is_flag=True, help="Read the password from standard input."
        ),
        click.Option(
            ["--password-hash-stdin", "reads_hash"],
            is_flag=True,
            help="Read a bcrypt hash ($2b$) of another system; the next sign-in makes it Argon2id.",
        ),
        click.Option(["--with-totp"], is_flag=True, help="Enrol a TOTP factor and print its secret."),
        request=_new_user,
    )
)
user.add(
    "reset-link",
    "Print a link to choose a new password: it works once, for 15 minutes; the second factor stays.",
    EMAIL,
)
user.add(
    "reset-factor",
    "Take a lost second factor away; the account's sessions end.",
    EMAIL,
    click.Option(
        ["--evidence"],
        required=True,
        type=click.Choice(["met", "called_back", "vouched"]),
        help="How you made sure who asks: met in person, called back at a number that was known before, or two members"
        " vouched. It is recorded.",
    ),
)
user.add(
    "erase-addresses",
    "Erase from where an account did what the audit log records; the records stay, and stay proven. For good.",
    EMAIL,
)
user.add("disable", "Disable an account: its sessions and tokens end.", EMAIL)
user.add("enable", "Enable an account again.", EMAIL)
user.add("set-password", "Set a password: the account's sessions end.", EMAIL, PASSWORD)

workspace.add(
    "create",
    "Make a workspace.",
    WORKSPACE,
    click.Option(["--owner"], required=True, help="E-mail of the owner's account."),
    click.Option(["--name"], help="A name for people; by default the slug."),
)
workspace.add("add-member", "Give an account a role in a workspace.", WORKSPACE, EMAIL, ROLE)
workspace.add(
    "remove-member", "End a membership: tokens, sockets and uncounted votes there end with it.", WORKSPACE, EMAIL
)
workspace.add("deleted", "List the deleted workspaces with their receipts; --json prints these whole.")

invitation.add(
    "create",
    "Print a link by which a person joins a workspace; it works once, for seven days.",
    WORKSPACE,
    ROLE,
    click.Option(["--email"], help="Only the account of this address may accept; by default whoever holds the link."),
)

platform_role.add("grant", "Give an account the platform role; it reaches no private content by it.", EMAIL)
platform_role.add("revoke", "Take the platform role from an account.", EMAIL)
