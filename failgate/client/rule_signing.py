"""An administrator's part of rules that machines judge by themselves: their body in a file, their head signed."""

import json
import os
import time
from collections.abc import Sequence
from pathlib import Path

from failgate.client.administering import DAY_SECONDS, Root
from failgate.client.exits import NotConfigured, Unverified
from failgate.client.http import Api
from failgate.client.keyring import write_private
from failgate.client.pins import fresh_nonce, payload_of, unbelieved
from failgate.client.rules import check_rule
from failgate.sealed.refusal import Refused
from failgate.sealed.rules import Head, read_body, read_head, sign_head, verify_head


def sign_rules(api: Api, roots: Sequence[Root], listed: object, file: Path, *, days: int) -> Head:
    """Write the body of the rules `listed` to `file`, hand in the head signed by `roots`; return it.

    Raises: NotConfigured (no rules, a rule that allows too much, a file that is there, a root that signed no manifest),
    Unverified (the server's newest manifest or head is not one that these roots signed), ClientError.
    """
    if os.path.lexists(file):
        raise NotConfigured(f"{file} is there already.", hint="Name another file.")
    body = {"v": 1, "nonce": fresh_nonce(), "rules": listed}
    try:
        rules, digest = read_body(body)
    except Refused as error:
        raise NotConfigured(f"These are no rules: {error.sentence}", hint="See docs/sealed.md.") from error
    for rule in rules:
        check_rule(rule)
    manifest = max(
        (payload_of(one.last) for one in roots if one.last is not None), key=lambda one: one.epoch, default=None
    )
    if manifest is None:
        raise NotConfigured("No manifest was signed with these roots.", hint="Run: failgate sealed manifest")
    answer = api.call("GET", f"{api.workspace()}/key-manifests?after={manifest.epoch}").content
    if answer.get("items"):
        raise Unverified("The server has a manifest that these roots did not sign.", hint="Sign nothing; find out why.")
    now, given = int(time.time()), answer.get("rules")
    payload = {
        "typ": "failgate-rules", "v": 1, "ws": manifest.ws, "epoch": _epoch(given) + 1, "manifest": manifest.digest,
        "iat": now, "exp": min(now + days * DAY_SECONDS, manifest.exp), "rules": digest,
    }  # fmt: skip
    try:
        signed = {**sign_head(payload, [one.key for one in roots]), "keys": [one.key.public_jwk() for one in roots]}
        head = verify_head(signed, manifest=manifest, now=now)
    except Refused as error:
        raise unbelieved("The head", error) from error
    write_private(str(file.absolute().parent), file.name, json.dumps(body, indent=1).encode() + b"\n")
    api.call("POST", f"{api.workspace()}/sealed-rules", {"rules": signed})
    return head


def _epoch(given: object) -> int:
    """Return the epoch of the head that the server gives; a false one makes rules that no machine believes."""
    if given is None:
        return 0
    try:
        from failgate.sealed import form

        payload = form.octets(form.an_object(given, "rules").get("payload"), "rules.payload", most=4096)
        return read_head(form.read_object(payload, "rules.payload")).epoch
    except Refused as error:
        raise unbelieved("What the server gives", error) from error
