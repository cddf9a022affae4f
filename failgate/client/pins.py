"""What this machine believes in end-to-end mode: its own file, which no server can lower.

`sealed.json` in the client's folder holds the agent's private key, the pinned digest of the first manifest, and the
newest manifest that was accepted. While it pins a workspace, nothing is asked in the clear from this folder. The file
`sealed-used` has one line for each approval that was used, durable before anything is executed; `sealed.lock` is held
while either is read and written.
"""
# ruff: noqa: PTH103 -- pathlib would slow the start

from __future__ import annotations

import fcntl
import json
import os
import time
from contextlib import contextmanager
from typing import NamedTuple, cast

from failgate.base.canonical import base64url, canonical
from failgate.base.errors import FailgateError
from failgate.client.exits import NotConfigured, Unverified
from failgate.client.keyring import read_private, write_private
from failgate.sealed import form
from failgate.sealed.keys import SealingKey, SigningKey, VerifyingKey, ring_of
from failgate.sealed.manifest import MOST_BYTES, Manifest, accept_chain, first_manifest, read_payload
from failgate.sealed.policy import Policy, read_policy
from failgate.sealed.refusal import Refused

TYPE_CHECKING = False  # typing's is slow to load
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from failgate.client.http import Api

PINS_FILE = "sealed.json"
_USED_FILE = "sealed-used"
_LOCK_FILE = "sealed.lock"
_MOST_USED_BYTES = 64 << 20


class Pins(NamedTuple):
    """What `sealed.json` holds; without a pin the machine has a key and no workspace is sealed for it yet.

    `signed` is the newest accepted manifest as it was signed, `policy` the id of the policy that commands wait for,
    `rules` epoch and digest of the newest head of rules that was believed.
    """

    key: SigningKey
    opening: dict[str, Any] | None = None
    pin: str | None = None
    signed: dict[str, Any] | None = None
    policy: str = "default"
    rules: tuple[int, str] | None = None

    @property
    def manifest(self) -> Manifest:
        """Return the newest manifest that was accepted. Raises: Unverified (none is pinned)."""
        if self.signed is None:
            raise Unverified("No workspace is pinned.", hint="Run: failgate agent pin DIGEST")
        return payload_of(self.signed)


class Fetched(NamedTuple):
    """What the server gave with the manifests: keys by their thumbprints, policies by their digests; nobody's word."""

    deciding: dict[str, VerifyingKey]
    sealing: dict[str, SealingKey]
    policies: dict[str, Policy]
    rules: object = None


def is_pinned(folder: str) -> bool:
    """Tell whether commands from this folder are sealed. Raises: NotConfigured (a file that is damaged or not ours)."""
    if not os.path.lexists(f"{folder}/{PINS_FILE}"):
        return False
    pins = load_pins(folder)
    return pins is not None and pins.pin is not None


def refuse_clear(folder: str) -> None:
    """Return where commands may be asked in the clear. Raises: Unverified, where a workspace is pinned."""
    if os.path.lexists(f"{folder}/{PINS_FILE}") and is_pinned(folder):
        raise Unverified(
            "This machine is pinned to a sealed workspace: nothing is asked in the clear.", hint="Use failgate run."
        )


def load_pins(folder: str) -> Pins | None:
    """Return what is kept, None when there is nothing. Raises: NotConfigured (damaged, or others can read it)."""
    path = f"{folder}/{PINS_FILE}"
    content = read_private(path, "file of pins")
    if content is None:
        return None
    try:
        kept = form.members(
            json.loads(content), "pins", ("v", "key"), also=("opening", "pin", "signed", "policy", "rules")
        )
        form.exactly(kept["v"], 1, "pins.v")
        _check_both(kept)
        pins = Pins(
            SigningKey.from_jwk(kept["key"], "pins.key"),
            cast("dict[str, Any] | None", kept.get("opening")),
            None if "pin" not in kept else form.digest(kept["pin"], "pins.pin"),
            None if "signed" not in kept else form.an_object(kept["signed"], "pins.signed"),
            form.word(kept.get("policy", "default"), "pins.policy"),
            _rules(kept.get("rules")),
        )
        if pins.signed is not None:
            payload_of(pins.signed)
    except (ValueError, KeyError, TypeError, RecursionError, Refused):
        raise NotConfigured(
            f"The file of pins {path} is damaged; nothing is asked while it is.",
            hint="Put it back from a copy, or enrol and pin anew in another folder (FAILGATE_HOME).",
        ) from None
    return pins


def _rules(kept: object) -> tuple[int, str] | None:
    if kept is None:
        return None
    found = form.members(kept, "pins.rules", ("epoch", "digest"))
    return form.integer(found["epoch"], "pins.rules"), form.digest(found["digest"], "pins.rules")


def _check_both(kept: Mapping[str, object]) -> None:
    if ("pin" in kept) != ("signed" in kept):
        raise Refused("members", "pins")


def store_pins(folder: str, pins: Pins) -> str:
    """Keep `pins` in place of what was kept; return the path. The caller holds `held`. Raises: NotConfigured."""
    kept: dict[str, object] = {"v": 1, "key": pins.key.private_jwk(), "policy": pins.policy}
    if pins.opening is not None:
        kept["opening"] = pins.opening
    if pins.pin is not None:
        kept |= {"pin": pins.pin, "signed": pins.signed}
    if pins.rules is not None:
        kept["rules"] = {"epoch": pins.rules[0], "digest": pins.rules[1]}
    return write_private(folder, PINS_FILE, json.dumps(kept, indent=1).encode() + b"\n")


@contextmanager
def held(folder: str) -> Iterator[None]:
    """Hold the lock of the pins. Raises: NotConfigured (the folder takes no file)."""
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        lock = os.open(f"{folder}/{_LOCK_FILE}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise NotConfigured(f"{folder} takes no file: {error.strerror}.", hint="Make it writable.") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def pin(api: Api, folder: str, digest: str, policy: str | None) -> Manifest:
    """Believe the workspace whose first manifest has the digest `digest`; return the newest manifest that follows.

    `policy` is the id of the one that commands wait for; a reviewer needs none.

    Raises: Unverified (what the server gives is not believed, another one is pinned), NotConfigured (no key).
    """
    with held(folder):
        pins = load_pins(folder)
        if pins is None:
            raise NotConfigured("This machine has no key.", hint="Run: failgate agent enroll")
        if pins.pin is not None and pins.pin != digest:
            raise Unverified("Another workspace is pinned here.", hint="Use another folder (FAILGATE_HOME).")
        items, _ = _answered(api, 0)
        if not items:
            raise Unverified("The server has no manifest of this workspace.", hint="Ask its administrator.")
        now = int(time.time())
        try:
            first = first_manifest(items[0], pin=digest, keys={}, now=now)
            newest, signed = _led_on(api, first, items[0], items[1:], now)
            newest.check_in_force(now)
        except Refused as error:
            raise unbelieved("The manifest", error) from error
        if policy is not None and policy not in newest.policies:
            raise NotConfigured(
                f"The manifest has no policy {policy!r}.", hint=f"There are: {', '.join(sorted(newest.policies))}."
            )
        if pins.signed is not None and payload_of(pins.signed).epoch > newest.epoch:
            raise Unverified("The server gives an older manifest than the one that is kept.")
        store_pins(folder, pins._replace(pin=digest, signed=signed, policy=policy or pins.policy))
        return newest


def renewed(api: Api, folder: str) -> tuple[Pins, Fetched]:
    """Accept what follows the newest manifest, keep it, and return what is believed now, with keys and policies.

    Raises: Unverified (an update that does not follow, a manifest that has expired), what the server's silence raises.
    """
    with held(folder):
        pins = load_pins(folder)
        if pins is None or pins.signed is None:
            raise Unverified("No workspace is pinned.", hint="Run: failgate agent pin DIGEST")
        last, now = pins.manifest, int(time.time())
        items, fetched = _answered(api, last.epoch)
        try:
            newest, signed = _led_on(api, last, pins.signed, items, now)
            newest.check_in_force(now)
        except Refused as error:
            raise unbelieved("The manifest", error) from error
        if newest.epoch != last.epoch:
            pins = pins._replace(signed=signed)
            store_pins(folder, pins)
        return pins, fetched


def unbelieved(what: str, error: FailgateError) -> Unverified:
    """Return why nothing runs: `what` is not believed, by the sentence of `error`."""
    return Unverified(f"{what} is not believed: {error.sentence}", hint="Nothing was executed.")


def payload_of(signed: Mapping[str, Any]) -> Manifest:
    """Return the manifest in `signed`, which was accepted before. Raises: Refused."""
    payload = form.octets(signed.get("payload"), "manifest.payload", most=MOST_BYTES)
    return read_payload(form.read_object(payload, "manifest.payload"))


def _led_on(
    api: Api, last: Manifest, signed: dict[str, Any], items: list[Any], now: int
) -> tuple[Manifest, dict[str, Any]]:
    """Return the newest manifest of those after `last`, page by page, and as it was signed."""
    while items:
        # Asked for first: the last one of a page is the newest only when nothing follows.
        following, _ = _answered(api, payload_of(form.an_object(items[-1], "manifest")).epoch)
        keys = ring_of(form.a_list(signed.get("keys", []), "manifest.keys", most=128))
        for place, item in enumerate(items):
            is_newest = not following and place + 1 == len(items)
            last = accept_chain([item], last=last, keys=keys, now=now) if is_newest else _passed(last, item, keys, now)
            signed = form.an_object(item, "manifest")
            keys = ring_of(form.a_list(signed.get("keys", []), "manifest.keys", most=128))
        items = following
    return last, signed


def _passed(last: Manifest, item: object, keys: dict[str, VerifyingKey], now: int) -> Manifest:
    """Return a manifest in the middle of a chain: it may have expired, and is believed at the time that it was of."""
    middle = payload_of(form.an_object(item, "manifest"))
    return accept_chain([item], last=last, keys=keys, now=min(now, middle.exp))


def _answered(api: Api, epoch: int) -> tuple[list[Any], Fetched]:
    answer: Any = api.call("GET", f"{api.workspace()}/key-manifests?after={epoch}").content
    deciding: dict[str, VerifyingKey] = {}
    sealing: dict[str, SealingKey] = {}
    try:
        for jwk in form.a_list(answer.get("keys"), "keys", most=65_536):
            if form.an_object(jwk, "keys").get("kty") == "RSA":
                opened = SealingKey.from_jwk(jwk)
                sealing[opened.jkt] = opened
            else:
                deciding |= ring_of([jwk])
        policies = [read_policy(body) for body in form.a_list(answer.get("policies"), "policies", most=1024)]
        return form.a_list(answer.get("items"), "items", most=1024), Fetched(
            deciding, sealing, {one.digest: one for one in policies}, answer.get("rules")
        )
    except Refused as error:
        raise unbelieved("What the server gives", error) from error


class Used:
    """Which requests ran and which decisions counted, and the highest counts of passkeys. The caller holds `held`."""

    def __init__(self, folder: str) -> None:
        """Read what was kept. Raises: Unverified (it is damaged: then nothing runs)."""
        self._folder, self._path = folder, f"{folder}/{_USED_FILE}"
        self.ids: dict[str, int] = {}
        self.counters: dict[str, int] = {}
        content = read_private(self._path, "file of used approvals", most=_MOST_USED_BYTES) or b""
        lines = content.split(b"\n")
        for line in lines[:-1]:  # what has no end was not durable, and so nothing ran by it
            self._read(line)
        self._is_whole = not lines[-1]

    def keep(self, ids: Mapping[str, int], counters: Mapping[str, int]) -> None:
        """Note `ids` (each until when, seconds since 1970) and `counters`; durable when this returns.

        Raises: Unverified (it could not be noted: then nothing may run).
        """
        line = canonical({"counters": dict(counters), "ids": dict(ids)}) + b"\n"
        try:
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            descriptor = os.open(self._path, flags, 0o600)
            try:
                if not self._is_whole:
                    os.ftruncate(descriptor, self._whole_bytes())
                if os.write(descriptor, line) != len(line):
                    raise OSError(28, "No space left on device")
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            folder = os.open(self._folder, os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            raise Unverified(
                f"{self._path} could not be written: {error.strerror}.", hint="Nothing was executed."
            ) from error

    def _whole_bytes(self) -> int:
        content = read_private(self._path, "file of used approvals", most=_MOST_USED_BYTES) or b""
        return content.rfind(b"\n") + 1

    def _read(self, line: bytes) -> None:
        try:
            kept = form.members(form.read_object(line, "used"), "used", ("counters", "ids"))
            for name, until in form.an_object(kept["ids"], "used.ids").items():
                self.ids[name] = form.integer(until, "used.ids")
            for jkt, count in form.an_object(kept["counters"], "used.counters").items():
                self.counters[jkt] = max(form.integer(count, "used.counters"), self.counters.get(jkt, 0))
        except Refused as error:
            raise Unverified(
                f"{self._path} is damaged; what ran before is not known.",
                hint="Ask whoever keeps this machine; enrol anew in another folder (FAILGATE_HOME).",
            ) from error


def fresh_nonce() -> str:
    """Return 32 random bytes, as a command has them."""
    return base64url(os.urandom(32))
