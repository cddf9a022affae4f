"""Who this machine speaks for: sign in, sign out, ask."""

import os
import sys
from typing import TYPE_CHECKING, Any

import click

from failgate.cli.printing import print_json, say

if TYPE_CHECKING:
    from failgate.client.settings import Settings


@click.command()
@click.option("--open", "is_opening", is_flag=True, help="Open a browser too.")
@click.option("--token-stdin", is_flag=True, help="Read an agent's token or an API key from standard input instead.")
@click.option("--workspace", help="Keep this workspace as the default.")
@click.argument("url", required=False)
def login(url: str | None, workspace: str | None, token_stdin: bool, is_opening: bool) -> None:
    """Sign this machine in at URL: a person approves it in a browser. Tokens lie in a file that only you can read."""
    from failgate.client.address import parse_address
    from failgate.client.login import sign_in, sign_out
    from failgate.client.settings import load_settings, store_setting

    environment = {name: value for name, value in os.environ.items() if name != "FAILGATE_TOKEN"}
    if url:
        environment["FAILGATE_URL"] = str(parse_address(url.rstrip("/"), "The URL"))
    settings = load_settings(environment)
    settings = settings._replace(workspace=workspace or settings.workspace)
    if token_stdin:
        from failgate.client.keyring import checked_token, store_token

        token = checked_token(sys.stdin.readline().strip(), "standard input")
        settings = settings._replace(token=token, login=None)
        answer = _asked_who(settings)
        store_token(settings.folder, token, str(parse_address(settings.url)))
        sign_out(settings, str(parse_address(settings.url)))
    else:
        kept = sign_in(settings, say, is_opening=is_opening)
        answer = _asked_who(settings._replace(token=kept.access_token, login=kept))
    changes = {"url": settings.url} if url else {}
    named = [one.get("workspace") for one in answer.get("workspaces", [])]
    chosen = workspace or (named[0] if len(named) == 1 else None)
    if chosen:
        changes["workspace"] = chosen
    if changes:
        store_setting(settings.folder, changes)
    click.echo(_who(answer, settings.url))


@click.command()
def logout() -> int:
    """End the login of this machine at the server, and forget it and a kept token here."""
    from failgate.client.address import parse_address
    from failgate.client.exits import UNREACHABLE
    from failgate.client.keyring import forget_token
    from failgate.client.login import sign_out
    from failgate.client.settings import load_settings

    settings = load_settings(os.environ | {"FAILGATE_TOKEN": "of-no-use-here"})
    address = str(parse_address(settings.url))
    had_token, was_told = forget_token(settings.folder), sign_out(settings, address)
    if was_told is False:
        say(f"signed out here; {address} did not answer: end the login at {address}/account/logins")
        return UNREACHABLE
    if was_told:
        say(f"signed out at {address}")
    if had_token:
        say("the token is forgotten; it stays valid until it is revoked on the server")
    if was_told is None and not had_token:
        say("this machine was not signed in")
    return 0


@click.command()
@click.option("--json", "is_json", is_flag=True, help="Print the server's answer.")
def whoami(is_json: bool) -> None:
    """Name who this machine speaks for."""
    from failgate.client.http import Api
    from failgate.client.settings import load_settings

    with Api(load_settings(os.environ)) as api:
        answer = api.call("GET", "/api/v1/whoami").content
    if is_json:
        print_json(answer)
    else:
        click.echo(_who(answer, str(api.address)))


def _asked_who(settings: "Settings") -> dict[str, Any]:
    from failgate.client.http import Api

    with Api(settings) as api:
        return api.call("GET", "/api/v1/whoami").content


def _who(answer: dict[str, Any], address: str) -> str:
    from failgate.client.messages import inert

    rows = [f"{inert(str(answer.get('kind')))} {inert(str(answer.get('label')))} at {address}"]
    rows += [
        f"  {inert(str(one.get('workspace')))}: {inert(str(one.get('role')))}" for one in answer.get("workspaces", [])
    ]
    return "\n".join(rows)
