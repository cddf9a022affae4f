"""The letters that the server writes: invitation, password reset, and the news that a password was changed. Pure.

Each link is built from the configured address of this server, never from what a request says.
"""

from failgate.accounts.mail import Letter
from failgate.redaction import without_secrets

_FOOT = "\n\n--\nFailgate at {base}. This letter was written by a program; nobody reads answers to it.\n"


def invitation_link(base_url: str, token: str) -> str:
    """Return the address under which the invitation `token` is accepted."""
    return f"{base_url}/link#{token}"


def reset_link(base_url: str, token: str) -> str:
    """Return the address under which the reset `token` is used."""
    return f"{base_url}/link#{token}"


def invitation(base_url: str, to: str, workspace: str, role: str, token: str, days: int) -> Letter:
    """Return the letter that invites `to` into the workspace named `workspace`, a name that people chose."""
    workspace = without_secrets(workspace)
    text = (
        f"You are invited to the workspace {workspace} as {role}.\n\n"
        f"Open this link to accept; it works once, for {days} days:\n\n"
        f"{invitation_link(base_url, token)}\n\n"
        "If you do not expect this, do nothing." + _FOOT.format(base=base_url)
    )
    return Letter(to, f"Invitation to {workspace}", text, "invitation")


def password_reset(base_url: str, to: str, token: str, minutes: int) -> Letter:
    """Return the letter with the link to choose a new password."""
    text = (
        "Somebody, we think you, asked for a new password of your Failgate account.\n\n"
        f"Open this link to choose one; it works once, for {minutes} minutes:\n\n"
        f"{reset_link(base_url, token)}\n\n"
        "It ends every session of the account. Your second factor stays as it is.\n"
        "If it was not you, do nothing: your password is unchanged." + _FOOT.format(base=base_url)
    )
    return Letter(to, "A new password for Failgate", text, "password_reset")


def password_changed(base_url: str, to: str) -> Letter:
    """Return the news that the password was changed by a link."""
    text = (
        "The password of your Failgate account was just changed by a reset link, and every session ended.\n\n"
        "If it was not you, tell whoever runs the server at once." + _FOOT.format(base=base_url)
    )
    return Letter(to, "Your Failgate password was changed", text, "password_changed")


def deletion_asked(base_url: str, to: str, workspace: str, by: str, hours: int) -> Letter:
    """Return the letter that asks an owner for the second word."""
    text = (
        f"{by} asked to delete the workspace {workspace} with everything in it.\n\n"
        f"It is deleted when another owner confirms within {hours} hours, and stays when nobody does:\n\n"
        f"{base_url}/w/{workspace}/settings/delete\n\n"
        "If this is wrong, withdraw it there at once." + _FOOT.format(base=base_url)
    )
    return Letter(to, f"Delete the workspace {workspace}?", text, "deletion_asked")


def deletion_withdrawn(base_url: str, to: str, workspace: str, by: str) -> Letter:
    """Return the news that a workspace stays."""
    text = f"{by} withdrew the deletion of the workspace {workspace}: it stays." + _FOOT.format(base=base_url)
    return Letter(to, f"The workspace {workspace} stays", text, "deletion_withdrawn")


def workspace_deleted(base_url: str, to: str, workspace: str, by: str) -> Letter:
    """Return the news that a workspace is deleted, for those who owned it."""
    text = (
        f"{by} confirmed the deletion of the workspace {workspace}. It is closed, and everything in it is being "
        "removed.\n\n"
        f"The receipt is here, once that is done:\n\n{base_url}/account/deleted-workspaces"
        + _FOOT.format(base=base_url)
    )
    return Letter(to, f"The workspace {workspace} was deleted", text, "workspace_deleted")
