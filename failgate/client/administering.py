"""An administrator's part of end-to-end mode: a root key in a file of theirs, and the next manifest signed with it.

What the server lists is proposed, never believed: each key that the manifest before did not name is shown with its
number, to be compared with its person, before anything is signed. The file of the root remembers the last manifest that
it signed: a server that gives another one as the newest is found out.
"""

import json
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from failgate.base.canonical import digest_of
from failgate.client.exits import NotConfigured, Unverified
from failgate.client.http import Api
from failgate.client.keyring import read_private, write_private
from failgate.client.pins import payload_of, unbelieved
from failgate.sealed import form
from failgate.sealed.keys import SealingKey, SigningKey, VerifyingKey
from failgate.sealed.manifest import NOTHING_BEFORE, Manifest, accept_chain, sign_manifest
from failgate.sealed.refusal import Refused

DAY_SECONDS = 86_400


class Root(NamedTuple):
    """A root key and the last manifest that it signed, as it was signed."""

    path: Path
    key: SigningKey
    last: dict[str, Any] | None


class Proposed(NamedTuple):
    """The payload of the next manifest, and the keys in it that the one before did not name: (whose, what, jkt)."""

    payload: dict[str, Any]
    policy: dict[str, Any]
    fresh: list[tuple[str, str, str]]


def make_root(path: Path) -> Root:
    """Put a new root key into a file that nobody else reads. Raises: NotConfigured (there is one already)."""
    if os.path.lexists(path):
        raise NotConfigured(f"{path} is there already.", hint="Name another file.")
    root = Root(path, SigningKey.generate(), None)
    _store(root)
    return root


def load_root(path: Path) -> Root:
    """Return the root in the file. Raises: NotConfigured (there is none, or it is damaged)."""
    content = read_private(str(path), "file of a root key")
    if content is None:
        raise NotConfigured(f"There is no {path}.", hint="Run: failgate sealed root FILE")
    try:
        kept = form.members(json.loads(content), "root", ("v", "key", "last"))
        last = None if kept["last"] is None else form.an_object(kept["last"], "root.last")
        if last is not None:
            payload_of(last)
        return Root(path, SigningKey.from_jwk(kept["key"], "root.key"), last)
    except (ValueError, KeyError, TypeError, RecursionError, Refused):
        raise NotConfigured(f"{path} is damaged.", hint="Put it back from a copy.") from None


def proposed(api: Api, root: Root, *, need: int, days: int) -> Proposed:
    """Return the next manifest: everybody with a key that opens and one that decides, and every agent with a key.

    Raises: Unverified (the server's newest manifest is not the one that this root signed last), NotConfigured (nobody
    could approve).
    """
    answer = api.call("GET", f"{api.workspace()}/key-manifests?after={_epoch(root)}").content
    if answer.get("items"):
        raise Unverified("The server has a manifest that this root did not sign.", hint="Sign nothing; find out why.")
    last = None if root.last is None else payload_of(root.last)
    if last is None and api.call("GET", f"{api.workspace()}/key-manifests?after=0").content.get("items"):
        raise Unverified("The workspace has a first manifest by another root.", hint="Use the file of that root.")
    listed = [
        one for one in api.call("GET", f"{api.workspace()}/device-keys").content["items"] if not one["revoked_at"]
    ]
    try:
        members, agents, found = people_of(listed, _named(last))
    except (Refused, KeyError, TypeError) as error:
        raise Unverified("What the server lists are no keys.", hint="Sign nothing.") from error
    if len(members) < need:
        raise NotConfigured(
            f"{len(members)} people have both keys, and {need} have to approve.",
            hint="Have them run: failgate review enroll",
        )
    policy = {"deny": "wins", "id": "default", "need": need, "require": {}, "v": 1}
    now = int(time.time())
    payload = {
        "typ": "failgate-keys", "v": 1, "ws": answer.get("workspace") if last is None else last.ws,
        "epoch": _epoch(root) + 1, "prev": NOTHING_BEFORE if last is None else last.digest, "iat": now,
        "exp": now + days * DAY_SECONDS, "roots": {"keys": [root.key.jkt], "m": 1}, "members": members,
        "policies": {"default": digest_of(policy)}, "agents": agents, "e2ee": "required",
    }  # fmt: skip
    known = _named(last)
    return Proposed(payload, policy, [one for one in found if one[2] not in known])


def sign_and_hand_in(api: Api, root: Root, wish: Proposed) -> Manifest:
    """Sign what was proposed, remember it, hand it in; return it. Raises: Unverified, ClientError."""
    try:
        signed = {**sign_manifest(wish.payload, [root.key]), "keys": [root.key.public_jwk()]}
        manifest = payload_of(signed)
        if root.last is not None:
            ring = {root.key.jkt: VerifyingKey.from_jwk(root.key.public_jwk())}
            accept_chain([signed], last=payload_of(root.last), keys=ring, now=int(time.time()))
    except Refused as error:
        raise unbelieved("The manifest", error) from error
    api.call("POST", f"{api.workspace()}/key-manifests", {"manifest": signed, "policies": [wish.policy]})
    _store(root._replace(last=signed))
    return manifest


def people_of(
    listed: Sequence[Mapping[str, Any]], known: frozenset[str]
) -> tuple[list[dict[str, Any]], list[str], list[tuple[str, str, str]]]:
    """Return members, agents, and each key as (whose, what for, thumbprint): thumbprints are computed here."""
    members: dict[str, dict[str, Any]] = {}
    agents: list[str] = []
    found: list[tuple[str, str, str]] = []
    shared: set[str] = set()
    for one in listed:
        kind = SealingKey if one["purpose"] == "opening" else VerifyingKey
        jkt = kind.from_jwk(one["jwk"]).jkt
        whose = form.word(one["agent"] if one["purpose"] == "asking" else one["account"], "keys.whose")
        found.append((whose, _said(one), jkt))
        if one["purpose"] == "asking":
            agents.append(jkt)
            continue
        member = members.setdefault(whose, {"uid": whose, "roles": ["reviewer"], "sig": []})
        if one["purpose"] == "opening":
            shared |= {jkt} if one.get("copies") else set()
            kept = member.get("enc")
            # The newest that devices share; else the one that the manifest before named; else the newest.
            if one.get("copies") or not (kept in known or kept in shared):
                member["enc"] = jkt
        else:
            own = {"rp": one["rp"], "origins": one["origins"]} if one["class"] == "webauthn" else {}
            member["sig"].append({"class": one["class"], "jkt": jkt, **own})
    whole = [one for one in members.values() if "enc" in one and one["sig"]]
    used = {jkt for one in whole for jkt in (one["enc"], *(key["jkt"] for key in one["sig"]))} | set(agents)
    return whole, sorted(agents), [one for one in found if one[2] in used]


def _said(key: Mapping[str, Any]) -> str:
    """Return what the server says that `key` is for: whoever compares its number compares that, too."""
    if key["purpose"] != "deciding":
        return str(key["purpose"])
    where = f" on {', '.join(str(one) for one in key['origins'])}" if key["class"] == "webauthn" else ""
    return f"deciding, {key['class']}{where}"


def _named(last: Manifest | None) -> frozenset[str]:
    if last is None:
        return frozenset()
    people = [one.enc for one in last.people] + [key.jkt for one in last.people for key in one.keys]
    return frozenset([*people, *(last.agents or ())])


def _epoch(root: Root) -> int:
    return 0 if root.last is None else payload_of(root.last).epoch


def _store(root: Root) -> None:
    folder = root.path.absolute().parent
    kept = {"v": 1, "key": root.key.private_jwk(), "last": root.last}
    write_private(str(folder), root.path.name, json.dumps(kept, indent=1).encode() + b"\n")
