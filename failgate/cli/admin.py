"""`failgate admin …`: for scripts and operators on the server's own host."""

import asyncio
import functools
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import click

from failgate.base.errors import (
    BadInput,
    Conflict,
    FailgateError,
    NotFound,
    StartRefused,
    StorageUnavailable,
    Unprocessable,
)
from failgate.cli.server import config_option, data_option, read_config, run_loop

Request = tuple[str, dict[str, Any]]

email_option = click.option("--email", required=True)
connection_option = click.option("--connection", required=True, help="The connection's short name.")
workspace_option = click.option("--workspace", required=True, help="The workspace's slug.")


def _read_when_given(_context: click.Context, _parameter: click.Parameter, is_given: bool) -> str | None:
    return read_password() if is_given else None


password_option = click.option(
    "--password-stdin",
    "password",
    is_flag=True,
    required=True,
    callback=_read_when_given,
    help="Read the password from standard input.",
)


def administrative(command: Callable[..., Request]) -> Callable[..., None]:
    """Carry out the verb and arguments that `command` returns, and print the answer."""

    @click.option("--json", "as_json", is_flag=True, help="Print the answer as a JSON object.")
    @data_option
    @config_option
    @functools.wraps(command)
    def carried_out(*, as_json: bool, data: Path, config_path: Path | None, **options: Any) -> None:
        verb, arguments = command(**options)
        answer = run_loop(carry_out(verb, arguments, data, config_path))
        if as_json:
            print(json.dumps(answer))
            return
        for name, value in answer.items():
            print_one(name, value)

    return carried_out


def print_one(name: str, value: Any) -> None:
    """Print a member of the answer; a list with one line for each of its things."""
    if not isinstance(value, list):
        print(f"{name}: {value}")
        return
    for each in cast("list[dict[str, Any] | str]", value):
        facts = each if isinstance(each, dict) else {name: each}
        print("  ".join(f"{key}={fact}" for key, fact in facts.items() if fact is not None))


async def carry_out(verb: str, arguments: dict[str, Any], data: Path, config_path: Path | None) -> dict[str, Any]:
    """Carry out `verb` through the running server, or over the data folder itself; return the answer."""
    answer = await ask_server(verb, arguments, data)
    if answer is not None:
        return answer
    from failgate.administration.administration import Administration
    from failgate.assembly import open_services

    async with open_services(read_config(config_path), data, is_serving=False) as services:
        return await Administration(services).run(verb, arguments)


async def ask_server(verb: str, arguments: dict[str, Any], data: Path) -> dict[str, Any] | None:
    """Carry out `verb` through the running server; None when none runs.

    Raises: StartRefused, FailgateError as the server refuses.
    """
    from failgate.web.control import LINE_LIMIT, SOCKET, socket_path

    if not (data / SOCKET).exists():
        return None
    try:
        with socket_path(data) as path:
            reader, writer = await asyncio.open_unix_connection(path, limit=LINE_LIMIT)
    except (ConnectionRefusedError, FileNotFoundError):
        return None  # a socket that a killed server left behind
    except PermissionError as error:
        raise StartRefused(
            f"The server's socket in {data} belongs to another account.",
            hint="Run as the account that runs the server.",
        ) from error
    try:
        writer.write(json.dumps({"verb": verb, "arguments": arguments}).encode() + b"\n")
        await writer.drain()
        line = await reader.readline()
    finally:
        writer.close()
    if not line:
        raise StartRefused("The server broke off.", hint="Ask again; its log says why.")
    reply: dict[str, Any] = json.loads(line)
    if "error" in reply:
        raise refusal_of(**reply["error"])
    answer: dict[str, Any] = reply["answer"]
    return answer


def refusal_of(slug: str, sentence: str, hint: str | None) -> FailgateError:
    """Return the error that the server met, so that it ends this process as it would have without a server."""
    kinds: list[type[FailgateError]] = [BadInput, NotFound, Conflict, Unprocessable, StorageUnavailable]
    return next((kind for kind in kinds if kind.slug == slug), FailgateError)(sentence, hint=hint)


def read_password() -> str:
    """Return the password on standard input, without the newline at its end."""
    text = sys.stdin.read()
    password = text.removesuffix("\n").removesuffix("\r")
    if not password:
        raise BadInput("Standard input holds no password.", hint="printf %s PASSWORD | failgate admin …")
    return password


@click.group()
def admin() -> None:
    """Accounts, workspaces, agents, keys and rules, from the server's own host."""


@admin.group()
def user() -> None:
    """Accounts."""


@admin.group()
def workspace() -> None:
    """Workspaces."""


@admin.group()
def agent() -> None:
    """Agents."""


@admin.group()
def allow() -> None:
    """Allowlist rules."""


@admin.group(name="platform-role")
def platform_role() -> None:
    """The role for the installation's own pages."""


@admin.group(name="api-key")
def api_key() -> None:
    """API keys."""


@admin.group()
def scim() -> None:
    """Provisioning through a connection."""


@admin.group()
def sso() -> None:
    """Single sign-on."""


@admin.group(name="signing-key")
def signing_key() -> None:
    """The key that signs access tokens."""


@admin.group()
def token() -> None:
    """Any token: of a person, of an agent."""


@admin.group()
def invitation() -> None:
    """Invitations into a workspace."""


@admin.command()
@email_option
@workspace_option
@password_option
@administrative
def bootstrap(email: str, workspace: str, password: str) -> Request:
    """Make the first account and its workspace; print an API key."""
    return "bootstrap", {"email": email, "workspace": workspace, "password": password}


@user.command(name="create")
@email_option
@click.option("--password-stdin", "reads_password", is_flag=True, help="Read the password from standard input.")
@click.option(
    "--password-hash-stdin",
    "reads_hash",
    is_flag=True,
    help="Read a bcrypt hash ($2b$) of another system; the next sign-in makes it Argon2id.",
)
@click.option("--with-totp", is_flag=True, help="Enrol a TOTP factor and print its secret.")
@administrative
def create_user(email: str, reads_password: bool, reads_hash: bool, with_totp: bool) -> Request:
    """Make an account."""
    if reads_password == reads_hash:
        raise click.UsageError("Say --password-stdin or --password-hash-stdin.")
    given = read_password()
    if reads_hash:
        return "user.import", {"email": email, "password_hash": given.strip(), "with_totp": with_totp}
    return "user.create", {"email": email, "password": given, "with_totp": with_totp}


@user.command(name="reset-link")
@email_option
@administrative
def reset_link(email: str) -> Request:
    """Print a link to choose a new password: it works once, for 15 minutes; the second factor stays."""
    return "user.reset_link", {"email": email}


@user.command(name="reset-factor")
@email_option
@administrative
def reset_factor(email: str) -> Request:
    """Take a lost second factor away; the account's sessions end."""
    return "user.reset_factor", {"email": email}


@user.command(name="disable")
@email_option
@administrative
def disable_user(email: str) -> Request:
    """Disable an account: its sessions and tokens end."""
    return "user.disable", {"email": email}


@user.command(name="enable")
@email_option
@administrative
def enable_user(email: str) -> Request:
    """Enable an account again."""
    return "user.enable", {"email": email}


@user.command(name="set-password")
@email_option
@password_option
@administrative
def set_password(email: str, password: str) -> Request:
    """Set a password: the account's sessions end."""
    return "user.set_password", {"email": email, "password": password}


@workspace.command(name="create")
@workspace_option
@click.option("--owner", required=True, help="E-mail of the owner's account.")
@click.option("--name", help="A name for people; by default the slug.")
@administrative
def create_workspace(workspace: str, owner: str, name: str | None) -> Request:
    """Make a workspace."""
    return "workspace.create", {"workspace": workspace, "owner": owner, "name": name}


@workspace.command(name="add-member")
@workspace_option
@email_option
@click.option("--role", required=True, help="owner, admin, reviewer, developer or auditor.")
@administrative
def add_member(workspace: str, email: str, role: str) -> Request:
    """Give an account a role in a workspace."""
    return "workspace.add_member", {"workspace": workspace, "email": email, "role": role}


@workspace.command(name="remove-member")
@workspace_option
@email_option
@administrative
def remove_member(workspace: str, email: str) -> Request:
    """End a membership: tokens, sockets and uncounted votes there end with it."""
    return "workspace.remove_member", {"workspace": workspace, "email": email}


@invitation.command(name="create")
@workspace_option
@click.option("--role", required=True, help="owner, admin, reviewer, developer or auditor.")
@click.option("--email", help="Only the account of this address may accept; by default whoever holds the link.")
@administrative
def create_invitation(workspace: str, role: str, email: str | None) -> Request:
    """Print a link by which a person joins a workspace; it works once, for seven days."""
    return "invitation.create", {"workspace": workspace, "role": role, "email": email}


@token.command(name="revoke")
@click.argument("token", metavar="ID")
@administrative
def revoke_token(token: str) -> Request:
    """End one token at once, an API key or an agent's, by its id; - reads the token itself from standard input."""
    return "token.revoke", {"token": read_password() if token == "-" else token}  # noqa: S105  # a dash, not a token


@agent.command(name="list")
@workspace_option
@administrative
def list_agents(workspace: str) -> Request:
    """List the agents of a workspace."""
    return "agent.list", {"workspace": workspace}


@agent.command(name="disable")
@workspace_option
@click.option("--name", required=True, help="The agent's name or id.")
@administrative
def disable_agent(workspace: str, name: str) -> Request:
    """Disable an agent: its tokens end."""
    return "agent.disable", {"workspace": workspace, "name": name}


@agent.command(name="create")
@workspace_option
@click.option("--name", required=True)
@click.option("--owner", help="E-mail of the account that answers for it; by default the workspace's owner.")
@administrative
def create_agent(workspace: str, name: str, owner: str | None) -> Request:
    """Make an agent; print its token, once."""
    return "agent.create", {"workspace": workspace, "name": name, "owner": owner}


@agent.command(name="certificate")
@workspace_option
@click.option("--name", required=True, help="The agent's name.")
@click.option("--san", required=True, help="spiffe://…, a host's name, or email:….")
@click.option("--revoke", "is_revoked", is_flag=True, help="Let it stand for the agent no more.")
@administrative
def name_agent(workspace: str, name: str, san: str, is_revoked: bool) -> Request:
    """Let client certificates with a subject alternative name be an agent."""
    return "agent.certificate", {"workspace": workspace, "name": name, "san": san, "is_revoked": is_revoked}


@allow.command(name="add", context_settings={"ignore_unknown_options": True})
@workspace_option
@click.option("--exact", is_flag=True, required=True, help="The whole argv, token by token.")
@click.option("--note", help="Why this command is known to be good.")
@click.argument("argv", nargs=-1, required=True, type=click.UNPROCESSED)
@administrative
def add_allow(workspace: str, exact: bool, note: str | None, argv: tuple[str, ...]) -> Request:
    """Let one exact command pass at once: failgate admin allow add --workspace W --exact -- CMD."""
    assert exact, "click demands it"
    return "allow.add", {"workspace": workspace, "argv": list(argv), "note": note}


@platform_role.command(name="grant")
@email_option
@administrative
def grant_platform_role(email: str) -> Request:
    """Give an account the platform role; it reaches no private content by it."""
    return "platform_role.grant", {"email": email}


@platform_role.command(name="revoke")
@email_option
@administrative
def revoke_platform_role(email: str) -> Request:
    """Take the platform role from an account."""
    return "platform_role.revoke", {"email": email}


@api_key.command(name="list")
@workspace_option
@administrative
def list_api_keys(workspace: str) -> Request:
    """List the API keys of a workspace: whose, since when, last used."""
    return "api_key.list", {"workspace": workspace}


@api_key.command(name="revoke")
@click.argument("token", metavar="ID")
@administrative
def revoke_api_key(token: str) -> Request:
    """End one API key at once, by its id; - reads the key from standard input."""
    return "api_key.revoke", {"token": read_password() if token == "-" else token}  # noqa: S105  # a dash, not a token


@api_key.command(name="create")
@email_option
@workspace_option
@click.option("--label", default="command line", show_default=True)
@administrative
def create_api_key(email: str, workspace: str, label: str) -> Request:
    """Make an API key; it is shown once."""
    return "api_key.create", {"email": email, "workspace": workspace, "label": label}


@scim.command(name="token")
@connection_option
@administrative
def mint_scim_token(connection: str) -> Request:
    """Make the token by which a connection's provider provisions; it is shown once, and replaces the one before."""
    return "scim.token", {"connection": connection}


@scim.command(name="revoke")
@connection_option
@administrative
def revoke_scim_token(connection: str) -> Request:
    """End the token of a connection at once."""
    return "scim.revoke", {"connection": connection}


@scim.command(name="allow")
@connection_option
@email_option
@administrative
def allow_in_scim(connection: str, email: str) -> Request:
    """Let a connection provision an account that is there already."""
    return "scim.allow", {"connection": connection, "email": email}


@sso.command(name="verify-domain")
@connection_option
@click.option("--domain", required=True, metavar="D")
@administrative
def verify_domain(connection: str, domain: str) -> Request:
    """Vouch for a mail domain of a workspace's connection, in place of its DNS record."""
    return "sso.verify_domain", {"connection": connection, "domain": domain}


@signing_key.command(name="rotate")
@click.option("--compromised", "is_compromised", is_flag=True, help="End at once what the old keys signed.")
@administrative
def rotate_signing_key(is_compromised: bool) -> Request:
    """Sign with a new key from now on; the old one verifies until its tokens are over."""
    return "signing_key.rotate", {"is_compromised": is_compromised}
