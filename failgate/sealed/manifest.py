"""The manifest of keys: who reviews with which keys, under which policies; signed by the roots of the one before too.

```text
pin (by hand) -> epoch 1, signed by its own roots -> epoch 2, signed by the roots of 1 and its own -> … -> in force
```

Who keeps the last accepted one refuses whatever is older, forked or expired; the server can withhold and nothing more.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, Literal, NamedTuple

from failgate.base.canonical import base64url, canonical, digest_of
from failgate.sealed import form
from failgate.sealed.keys import Signs, VerifyingKey, ring_of
from failgate.sealed.policy import KeyClass, Policy, a_class
from failgate.sealed.refusal import Refused
from failgate.sealed.signing import header_of, signers_of

TYP: Final = "failgate-keys"
SIGNATURE_TYP: Final = "failgate-keys+jws"
LONGEST_LIFE_SECONDS: Final = 7 * 86_400
NOTHING_BEFORE: Final = base64url(bytes(32))  # `prev` of the first one
MOST_BYTES: Final = 512 * 1024
MOST_PEOPLE: Final = 256  # so many recipients a command has at most
MOST_AGENTS: Final = 8192
MOST_CHAIN: Final = 4096
_MOST_ROOTS: Final = 64
_MOST_OF_ONE: Final = 32  # keys, roles or origins of one person
_MEMBERS: Final = ("e2ee", "epoch", "exp", "iat", "members", "policies", "prev", "roots", "typ", "v", "ws")


class DecisionKey(NamedTuple):
    """A key that signs decisions; `rp` and `origins` are those of a `webauthn` key."""

    jkt: str
    key_class: KeyClass
    rp: str
    origins: tuple[str, ...]


class Person(NamedTuple):
    """A member: one person, however many keys they have."""

    uid: str
    enc: str
    roles: tuple[str, ...]
    keys: tuple[DecisionKey, ...]

    @property
    def is_reviewer(self) -> bool:
        """Tell whether commands are sealed to them and their decisions count."""
        return "reviewer" in self.roles


class Manifest(NamedTuple):
    """A well-formed manifest. Times are seconds since 1970; `agents` is None where it lists none."""

    ws: str
    epoch: int
    prev: str
    iat: int
    exp: int
    roots: tuple[str, ...]
    threshold: int
    people: tuple[Person, ...]
    policies: Mapping[str, str]
    agents: tuple[str, ...] | None
    digest: str

    def check_in_force(self, now: int) -> None:
        """Accept a manifest that has not expired.

        Raises: Refused (`expired`, `ahead`).
        """
        form.check_now(self.iat, self.exp, now, "manifest")

    def recipients(self) -> tuple[str, ...]:
        """Return the thumbprints to which each command is sealed, in order."""
        return tuple(sorted(one.enc for one in self.people if one.is_reviewer))

    def decider(self, jkt: str, place: str) -> tuple[Person, DecisionKey]:
        """Return the reviewer whose decision key `jkt` is.

        Raises: Refused (`unknown-key`, `role`).
        """
        for person in self.people:
            for key in person.keys:
                if key.jkt == jkt:
                    if not person.is_reviewer:
                        raise Refused("role", place)
                    return person, key
        raise Refused("unknown-key", place)

    def check_policy(self, policy: Policy, place: str = "policy") -> None:
        """Accept a policy that the manifest names by its id and digest.

        Raises: Refused (`policy`).
        """
        if self.policies.get(policy.id) != policy.digest:
            raise Refused("policy", place)


def read_payload(value: object, place: str = "manifest") -> Manifest:
    """Return the manifest whose payload is `value`; who signed it is another question.

    Raises: Refused (`members`, `value`, `lifetime`, `key-twice`, `person-twice`, …).
    """
    found = form.members(value, place, _MEMBERS, also=("agents",))
    form.exactly(found["typ"], TYP, f"{place}.typ")
    form.exactly(found["v"], 1, f"{place}.v")
    form.exactly(found["e2ee"], "required", f"{place}.e2ee")
    iat, exp = form.life(found, place, most=LONGEST_LIFE_SECONDS)
    roots, threshold = _roots(found["roots"], f"{place}.roots")
    people = _people(found["members"], f"{place}.members")
    agents = None
    if "agents" in found:
        agents = form.sorted_digests(found["agents"], f"{place}.agents", most=MOST_AGENTS)
    _check_agents(agents or (), people, roots, f"{place}.agents")
    return Manifest(
        ws=form.uuid(found["ws"], f"{place}.ws"),
        epoch=form.integer(found["epoch"], f"{place}.epoch", least=1),
        prev=form.digest(found["prev"], f"{place}.prev"),
        iat=iat,
        exp=exp,
        roots=roots,
        threshold=threshold,
        people=people,
        policies=_policies(found["policies"], f"{place}.policies"),
        agents=agents,
        digest=digest_of(found),
    )


def first_manifest(signed: object, *, pin: str, keys: Mapping[str, VerifyingKey], now: int) -> Manifest:
    """Return the first manifest of a workspace: its payload has the digest `pin` and is signed by its own roots.

    It may have expired since: `accept_chain` leads on from it, and each use asks `check_in_force`.
    Raises: Refused (`pin`, `chain`, `threshold`, …).
    """
    manifest, signers = _verified(signed, keys, "manifest")
    if manifest.digest != pin:
        raise Refused("pin", "manifest")
    if manifest.epoch != 1 or manifest.prev != NOTHING_BEFORE:
        raise Refused("chain", "manifest.prev")
    _check_signers(signers, [manifest], "manifest.signatures")
    _check_not_ahead(manifest, now, "manifest")
    return manifest


def accept_chain(chain: object, *, last: Manifest, keys: Mapping[str, VerifyingKey], now: int) -> Manifest:
    """Return the newest manifest of `chain`, whose first one follows `last`, the last that was accepted.

    One in the middle may have expired, the newest may not. `keys` are those known beside the chain's own. On a refusal
    `last` stays in force until it expires.
    Raises: Refused (`epoch`, `chain`, `workspace`, `threshold`, `expired`, …).
    """
    newest = last
    for number, signed in enumerate(form.a_list(chain, "chain", least=1, most=MOST_CHAIN)):
        place = f"chain[{number}]"
        manifest, signers = _verified(signed, keys, place)
        if manifest.ws != newest.ws:
            raise Refused("workspace", f"{place}.ws")
        if manifest.epoch != newest.epoch + 1:
            raise Refused("epoch", f"{place}.epoch")
        if manifest.prev != newest.digest:
            raise Refused("chain", f"{place}.prev")
        _check_signers(signers, [newest, manifest], f"{place}.signatures")
        _check_not_ahead(manifest, now, place)
        newest = manifest
    newest.check_in_force(now)
    return newest


def sign_manifest(payload: Mapping[str, object], signers: Iterable[Signs]) -> dict[str, object]:
    """Return `payload`, which has to be well-formed, signed by each of `signers`.

    Raises: Refused.
    """
    read_payload(dict(payload))
    encoded = base64url(canonical(payload))
    signatures = [
        {"protected": protected, "signature": base64url(signer.sign(f"{protected}.{encoded}".encode("ascii")))}
        for signer, protected in ((one, header_of(one.jkt, SIGNATURE_TYP)) for one in signers)
    ]
    return {"payload": encoded, "signatures": signatures}


def _verified(signed: object, known: Mapping[str, VerifyingKey], place: str) -> tuple[Manifest, list[str]]:
    """Return the manifest and who signed it: every signature holds, by keys that came along or are known."""
    found = form.members(signed, place, ("payload", "signatures"), also=("keys",))
    payload = form.octets(found["payload"], f"{place}.payload", most=MOST_BYTES)
    manifest = read_payload(form.read_object(payload, f"{place}.payload"), place)
    keys = dict(known)
    if "keys" in found:  # whose they are is said by the thumbprints that the manifests list
        keys |= ring_of(form.a_list(found["keys"], f"{place}.keys", most=_MOST_ROOTS * 2), f"{place}.keys")
    return manifest, signers_of(found, SIGNATURE_TYP, keys, place)


def _check_signers(signers: list[str], deciding: list[Manifest], place: str) -> None:
    """Accept signers who are roots of one of `deciding`, and enough of them of each."""
    if not set(signers) <= {root for manifest in deciding for root in manifest.roots}:
        raise Refused("unknown-key", place)
    for manifest in deciding:
        if len(set(signers) & set(manifest.roots)) < manifest.threshold:
            raise Refused("threshold", place)


def _check_not_ahead(manifest: Manifest, now: int, place: str) -> None:
    if manifest.iat > now + form.SKEW_SECONDS:
        raise Refused("ahead", f"{place}.iat")


def _roots(value: object, place: str) -> tuple[tuple[str, ...], int]:
    found = form.members(value, place, ("keys", "m"))
    keys = form.sorted_digests(found["keys"], f"{place}.keys", least=1, most=_MOST_ROOTS)
    least: Literal[1, 2] = 1 if len(keys) == 1 else 2  # one admin alone decides only where there is no other
    return keys, form.integer(found["m"], f"{place}.m", least=least, most=len(keys))


def _people(value: object, place: str) -> tuple[Person, ...]:
    people = tuple(
        _person(one, f"{place}[{number}]")
        for number, one in enumerate(form.a_list(value, place, least=1, most=MOST_PEOPLE))
    )
    if len({one.uid for one in people}) != len(people):
        raise Refused("person-twice", place)
    keys = [one.enc for one in people] + [key.jkt for one in people for key in one.keys]
    if len(set(keys)) != len(keys):
        raise Refused("key-twice", place)
    return people


def _person(value: object, place: str) -> Person:
    found = form.members(value, place, ("enc", "roles", "sig", "uid"))
    roles = tuple(
        form.word(one, f"{place}.roles")
        for one in form.a_list(found["roles"], f"{place}.roles", least=1, most=_MOST_OF_ONE)
    )
    if len(set(roles)) != len(roles):
        raise Refused("value", f"{place}.roles")
    listed = form.a_list(found["sig"], f"{place}.sig", least=1, most=_MOST_OF_ONE)
    keys = tuple(_decision_key(one, f"{place}.sig[{number}]") for number, one in enumerate(listed))
    return Person(form.word(found["uid"], f"{place}.uid"), form.digest(found["enc"], f"{place}.enc"), roles, keys)


def _decision_key(value: object, place: str) -> DecisionKey:
    key_class = a_class(form.an_object(value, place).get("class"), f"{place}.class")
    of_webauthn = ("rp", "origins") if key_class == "webauthn" else ()
    found = form.members(value, place, ("class", "jkt", *of_webauthn))
    jkt = form.digest(found["jkt"], f"{place}.jkt")
    if not of_webauthn:
        return DecisionKey(jkt, key_class, "", ())
    listed = form.a_list(found["origins"], f"{place}.origins", least=1, most=_MOST_OF_ONE)
    origins = tuple(form.word(one, f"{place}.origins") for one in listed)
    return DecisionKey(jkt, key_class, form.word(found["rp"], f"{place}.rp"), origins)


def _policies(value: object, place: str) -> dict[str, str]:
    found = form.an_object(value, place)
    return {form.word(name, place): form.digest(one, place) for name, one in found.items()}


def _check_agents(agents: tuple[str, ...], people: tuple[Person, ...], roots: tuple[str, ...], place: str) -> None:
    """Refuse an agent whose key decides or signs manifests: it would approve its own commands."""
    if set(agents) & {*roots, *(key.jkt for one in people for key in one.keys)}:
        raise Refused("key-twice", place)
