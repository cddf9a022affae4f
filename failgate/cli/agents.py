"""`failgate agent`: this machine's key, the workspace that it pins, what it believes (docs/sealed.md)."""

import os
import time
from pathlib import Path

import click

from failgate.base.errors import FailgateError
from failgate.cli.digests import DigestType, TakesDigest


@click.group()
def agent() -> None:
    """End-to-end mode of this machine: its key, its pin, what it believes."""


@agent.command()
@click.option("--label", help="How the key is called in the list of keys; the host's name without it.")
def enroll(label: str | None) -> None:
    """Make this agent's key, once, and enrol its public half at the server.

    Compare the number that is printed with an administrator, on another way than the server.
    """
    import socket

    from failgate.client.exits import NotConfigured, Refused
    from failgate.client.http import Api
    from failgate.client.pins import Pins, held, load_pins, store_pins
    from failgate.client.settings import load_settings
    from failgate.sealed.keys import SigningKey, safety_number

    settings = load_settings(os.environ)
    with held(settings.folder):
        pins = load_pins(settings.folder)
        if pins is None:
            pins = Pins(SigningKey.generate())
            store_pins(settings.folder, pins)
        elif pins.opening is not None:
            raise NotConfigured("This folder holds a reviewer's keys.", hint="Use another one (FAILGATE_HOME).")
    body = {"jwk": pins.key.public_jwk(), "label": (label or socket.gethostname() or "agent")[:100]}
    with Api(settings) as api:
        try:
            api.call("POST", f"{api.workspace()}/agent-keys", body)
        except Refused as error:
            if error.answered != 409 or not _is_there(error):
                raise
    click.echo(f"key     {pins.key.jkt}\nnumber  {safety_number(pins.key.jkt)}")


@agent.command(cls=TakesDigest)
@click.argument("digest", type=DigestType())
@click.option("--policy", default="default", help="The id of the policy that commands wait for.")
def pin(digest: str, policy: str) -> None:
    """Believe the workspace whose first manifest has DIGEST, for good: from then on nothing is asked in the clear.

    DIGEST comes from an administrator, on another way than the server.
    """
    from failgate.client.http import Api
    from failgate.client.pins import pin as pin_manifest
    from failgate.client.settings import load_settings

    settings = load_settings(os.environ)
    with Api(settings) as api:
        manifest = pin_manifest(api, settings.folder, digest, policy)
    click.echo(f"pinned  workspace {manifest.ws}, epoch {manifest.epoch}, policy {policy}")


@agent.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def rules(file: Path) -> None:
    """Keep the rules in FILE, which an administrator brought: what they allow runs at once, while they are in force.

    Compare the digest that is printed with the one that `failgate sealed rules` printed.
    """
    from failgate.client.pins import held, is_pinned
    from failgate.client.rules import MOST_BYTES, keep_rules
    from failgate.client.settings import load_settings

    folder = load_settings(os.environ).folder
    if not is_pinned(folder):
        from failgate.client.exits import NotConfigured

        raise NotConfigured("No workspace is pinned here.", hint="Run: failgate agent pin DIGEST")
    with file.open("rb") as source:
        content = source.read(MOST_BYTES)
    with held(folder):
        click.echo(f"rules   {keep_rules(folder, content)}")


@agent.command()
@click.option("--json", "is_json", is_flag=True, help="Print one JSON object.")
def status(*, is_json: bool) -> int:
    """Say what this machine believes, asking no server. Exit code 0 while it can ask, 1 otherwise."""
    from failgate.cli.printing import print_json
    from failgate.client.pins import load_pins
    from failgate.client.settings import load_settings
    from failgate.sealed.keys import safety_number

    pins = load_pins(load_settings(os.environ).folder)
    if pins is None:
        told: dict[str, object] = {"state": "no key"}
    else:
        told = {"state": "not pinned", "key": pins.key.jkt, "number": safety_number(pins.key.jkt)}
    if pins is not None and pins.signed is not None:
        manifest, now = pins.manifest, time.time()
        is_listed = manifest.agents is None or pins.key.jkt in manifest.agents
        state = "expired" if now > manifest.exp else "ready" if is_listed else "not in the manifest"
        told |= {
            "state": state, "workspace": manifest.ws, "pin": pins.pin, "epoch": manifest.epoch,
            "expires": manifest.exp, "policy": pins.policy, "reviewers": len(manifest.recipients()),
        }  # fmt: skip
        if pins.rules is not None:
            told["rules_epoch"] = pins.rules[0]
    if is_json:
        print_json(told)
    else:
        for name, value in told.items():
            click.echo(f"{name:10} {value}")
    return 0 if told["state"] == "ready" else 1


def _is_there(error: FailgateError) -> bool:
    """Tell whether the server refused because it has this key; another key of this name cannot be."""
    return "enrolled in the workspace before" in error.sentence
