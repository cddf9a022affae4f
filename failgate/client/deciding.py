"""A reviewer's part of end-to-end mode on this machine: open what agents sealed, sign what one decides.

The folder's `sealed.json` holds the reviewer's two keys and the pinned manifest, as an agent's does. What is shown was
opened and verified here; what is signed is about exactly that.
"""

import os
import time
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from failgate.client.exits import EXPIRED, ClientError, NotConfigured, Unverified
from failgate.client.http import Api
from failgate.client.messages import inert
from failgate.client.pins import Pins, held, load_pins, renewed, store_pins, unbelieved
from failgate.sealed.command import Context
from failgate.sealed.decision import decision_payload, sign_decision
from failgate.sealed.keys import OpeningKey, SigningKey
from failgate.sealed.refusal import Refused
from failgate.sealed.sealing import open_command

_DECIDE_SECONDS = 3600
_ENDED = {
    "approved": "enough people have approved it",
    "denied": "somebody has denied it",
    "expired": "nobody decided in time",
    "cancelled": "its agent withdrew it",
    "executed": "it was approved, and is executed",
}


class TooLate(ClientError):
    """There is nothing left to decide: the request has ended."""

    slug = "too-late"
    exit_code = EXPIRED


class Shown(NamedTuple):
    """A command that was opened here, and the context that its agent signed."""

    cmd: Mapping[str, Any]
    ctx: Context

    def lines(self) -> list[str]:
        """Return what a reviewer reads: each argument on a line of its own, nothing of it live."""
        cmd = self.cmd
        env = [f"env      {inert(name)}={inert(value)}" for name, value in sorted(cmd["env"].items())]
        return [
            f"request  {self.ctx.cid}",
            f"digest   {self.ctx.commit}",
            f"agent    {self.ctx.agent}",
            f"host     {inert(cmd['host'])}, uid {cmd['uid']}",
            f"folder   {inert(cmd['cwd'])}",
            f"program  {inert(cmd['exe']['path'])}, SHA-256 {cmd['exe']['sha256']}",
            *(f"argv[{place}]  {inert(token)}" for place, token in enumerate(cmd["argv"])),
            *env,
        ]


def enroll(api: Api, folder: str, label: str) -> Pins:
    """Make this reviewer's two keys, once, and enrol their public halves. Raises: NotConfigured, ClientError."""
    with held(folder):
        pins = load_pins(folder)
        if pins is not None and pins.opening is None:
            raise NotConfigured("This folder holds an agent's key.", hint="Use another one (FAILGATE_HOME).")
        if pins is None:
            pins = Pins(SigningKey.generate(), OpeningKey.generate().private_jwk())
            store_pins(folder, pins)
    route = f"{api.workspace()}/device-keys"
    opening = {"purpose": "opening", "jwk": opener_of(pins).public_jwk(), "label": label}
    deciding = {"purpose": "deciding", "jwk": pins.key.public_jwk(), "label": label, "class": "native"}
    known = {one.get("jkt") for one in api.call("GET", route).content.get("items", [])}
    for body, jkt in ((opening, opener_of(pins).jkt), (deciding, pins.key.jkt)):
        if jkt not in known:
            api.call("POST", route, body)
    return pins


def opener_of(pins: Pins) -> OpeningKey:
    """Return the key that opens. Raises: NotConfigured (the folder is an agent's, or its file is damaged)."""
    if pins.opening is None:
        raise NotConfigured("This folder holds no reviewer's keys.", hint="Run: failgate review enroll")
    try:
        return OpeningKey.from_jwk(pins.opening)
    except Refused as error:
        raise NotConfigured("The reviewer's key is damaged.", hint="Enrol anew in another folder.") from error


def opened(api: Api, folder: str, cid: str, *, is_to_decide: bool = False) -> tuple[Pins, Shown]:
    """Return the command `cid`, fetched, opened and verified here, with what is believed now.

    Raises: Unverified (it is not what a listed agent sealed for this request), TooLate (`is_to_decide`, and the server
    says that it has ended), ClientError.
    """
    pins, fetched = renewed(api, folder)
    opener, manifest = opener_of(pins), pins.manifest
    view = api.call("GET", f"{api.workspace()}/sealed-commands/{cid}").content
    why = _ENDED.get(str(view.get("state")))
    if is_to_decide and why is not None:
        raise TooLate(f"The request has ended: {why}.", hint="Nothing was signed.")
    agents = {jkt: key for jkt, key in fetched.deciding.items() if jkt in (manifest.agents or ())}
    try:
        found = open_command(view.get("sealed"), opener=opener, manifest=manifest, agents=agents, now=int(time.time()))
    except Refused as error:
        raise unbelieved("The command", error) from error
    if found.ctx.cid != cid:
        raise Unverified("The server gave another request than the one that was asked for.", hint="Decide on nothing.")
    return pins, Shown(found.cmd, found.ctx)


def decide(api: Api, pins: Pins, shown: Shown, word: Literal["approve", "deny"]) -> str:
    """Sign `word` about what was shown and hand it in; return the state that the server tells.

    Raises: ClientError, Refused (its time is over).
    """
    now, jti = int(time.time()), os.urandom(16).hex()
    payload = decision_payload(shown.ctx, word, jti=jti, iat=now, exp=min(shown.ctx.exp, now + _DECIDE_SECONDS))
    route = f"{api.workspace()}/sealed-commands/{shown.ctx.cid}/decisions"
    answer = api.call("POST", route, {"decision": sign_decision(payload, pins.key)}, idempotency_key=jti)
    return str(answer.content.get("state"))
