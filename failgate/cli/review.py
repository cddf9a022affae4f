"""`failgate review`: sealed commands opened, read and decided with keys on this machine (docs/sealed.md)."""

import os
from typing import Literal

import click

from failgate.base.errors import BadInput
from failgate.cli.digests import DigestType, TakesDigest


@click.group()
def review() -> None:
    """Decide on sealed commands with keys held on this machine."""


@review.command()
@click.option("--label", help="How the keys are called in the list of keys; the host's name without it.")
def enroll(label: str | None) -> None:
    """Make this reviewer's keys, one that opens and one that signs, and enrol their public halves."""
    import socket

    from failgate.client.deciding import enroll as enroll_keys
    from failgate.client.deciding import opener_of
    from failgate.client.http import Api
    from failgate.client.settings import load_settings
    from failgate.sealed.keys import safety_number

    settings = load_settings(os.environ)
    with Api(settings) as api:
        pins = enroll_keys(api, settings.folder, (label or socket.gethostname() or "reviewer")[:100])
    for name, jkt in (("opens", opener_of(pins).jkt), ("signs", pins.key.jkt)):
        click.echo(f"{name}   {jkt}\nnumber  {safety_number(jkt)}")


@review.command(cls=TakesDigest)
@click.argument("digest", type=DigestType())
def pin(digest: str) -> None:
    """Believe the workspace whose first manifest has DIGEST, which an administrator told on another way."""
    from failgate.client.http import Api
    from failgate.client.pins import pin as pin_manifest
    from failgate.client.settings import load_settings

    settings = load_settings(os.environ)
    with Api(settings) as api:
        manifest = pin_manifest(api, settings.folder, digest, None)
    click.echo(f"pinned  workspace {manifest.ws}, epoch {manifest.epoch}")


@review.command("list")
@click.option("--all", "is_all", is_flag=True, help="Also what has ended, and how: approved, denied, expired, …")
def listing(*, is_all: bool) -> None:
    """List what waits: when it was asked, until when, by which agent. `show` opens one."""
    from failgate.client.http import Api
    from failgate.client.messages import inert
    from failgate.client.settings import load_settings

    with Api(load_settings(os.environ)) as api:
        found = api.call("GET", f"{api.workspace()}/sealed-commands").content.get("items", [])
    for one in found:
        if is_all or one.get("state") == "pending":
            names = ("id", "created_at", "expires_at", "agent", *(("state",) if is_all else ()))
            click.echo("  ".join(inert(str(one.get(name))) for name in names))


@review.command()
@click.argument("request")
def show(request: str) -> None:
    """Open the REQUEST here and print it."""
    from failgate.client.deciding import opened
    from failgate.client.http import Api
    from failgate.client.settings import load_settings

    settings = load_settings(os.environ)
    with Api(settings) as api:
        _, shown = opened(api, settings.folder, _id(request))
    click.echo("\n".join(shown.lines()))


@review.command()
@click.argument("request")
@click.option("--digest", help="Sign without asking, when this is what it is the digest of; `show` prints it.")
def approve(request: str, digest: str | None) -> int:
    """Open the REQUEST here, show it, ask, and sign that it may run."""
    return _decide(request, digest, "approve")


@review.command()
@click.argument("request")
@click.option("--digest", help="Sign without asking, when this is what it is the digest of; `show` prints it.")
def deny(request: str, digest: str | None) -> int:
    """Open the REQUEST here, show it, ask, and sign that it must not run."""
    return _decide(request, digest, "deny")


def _decide(request: str, digest: str | None, word: Literal["approve", "deny"]) -> int:
    from failgate.client.deciding import decide, opened
    from failgate.client.exits import Unverified
    from failgate.client.http import Api
    from failgate.client.review import ask
    from failgate.client.settings import load_settings

    settings = load_settings(os.environ)
    with Api(settings) as api:
        pins, shown = opened(api, settings.folder, _id(request), is_to_decide=True)
        click.echo("\n".join(shown.lines()))
        if digest is None:
            if not ask(f"Sign: {word} this?"):
                click.echo("failgate: nothing was signed", err=True)
                return 1
        elif digest != shown.ctx.commit:
            raise Unverified("This is not the command of that digest.", hint="Nothing was signed.")
        click.echo(f"state    {decide(api, pins, shown, word)}")
    return 0


def _id(text: str) -> str:
    from failgate.base.ids import is_id

    if not is_id(text):
        raise BadInput("REQUEST is no id of a request.", hint="failgate review list prints them.")
    return text
