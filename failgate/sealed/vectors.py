"""Verdicts on a file of test vectors, so that anybody can compare this implementation with another.

The file gives keys, policies, the last accepted manifest, a command and its context; each member `positive_…` and
`negative_…` lists cases of one subject: `jwe`, `decisions`, `manifests`, `receipts`, `keys`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Final, NamedTuple, TypeVar, cast

from failgate.base.canonical import base64url
from failgate.base.errors import BadInput
from failgate.sealed import form
from failgate.sealed.command import Context, read_context
from failgate.sealed.keys import OpeningKey, SealingKey, VerifyingKey
from failgate.sealed.manifest import Manifest, accept_chain, read_payload
from failgate.sealed.policy import read_policy
from failgate.sealed.quorum import decide
from failgate.sealed.receipt import verify_receipt
from failgate.sealed.refusal import Refused
from failgate.sealed.sealing import open_command

SUBJECTS: Final = ("jwe", "decisions", "manifests", "receipts", "keys")
_OUTPUT_BYTES: Final = 1024 * 1024
_SECRET: Final = ("d", "dp", "dq", "p", "q", "qi")


class Verdict(NamedTuple):
    """What was wanted of a case, and what became of it; `reason` is None where it was accepted."""

    case: str
    expected: bool
    accepted: bool
    reason: str | None


class _World(NamedTuple):
    """What the verifier of a case knows: its clock, its own keys and context, what it accepted before."""

    now: int
    used: frozenset[str]
    counters: Mapping[str, int]
    last: Manifest
    manifest: Manifest
    keys: Mapping[str, VerifyingKey]
    agent: VerifyingKey
    ctx: Context
    policy: object
    served_policy: object
    output: str | None


def judge(document: object) -> Iterator[Verdict]:
    """Yield the verdict on every case of the vectors in `document`, in the order of the file.

    Raises: BadInput (the file is none of vectors), naming the member and what belongs there.
    """
    file = _object(document, "the file")
    openers: dict[int, OpeningKey] = {}
    subjects = [name for name in file if name.startswith(("positive_", "negative_"))]
    if not subjects:
        raise _bad("the file", "holds no member positive_… or negative_…")
    for name in subjects:
        sign, _, subject = name.partition("_")
        if subject not in SUBJECTS:
            raise _bad(name, f"is no subject that is known: {', '.join(SUBJECTS)}")
        for number, raw in enumerate(_list(file[name], name)):
            place = f"{name}[{number}]"
            entry = _object(raw, place)
            case = _text(entry, "case", place)
            try:
                _CHECKS[subject](entry, file, openers, place)()
            except Refused as refusal:
                yield Verdict(case, sign == "positive", accepted=False, reason=refusal.reason)
            else:
                yield Verdict(case, sign == "positive", accepted=True, reason=None)


_Check = Callable[[], object]
_Members = Mapping[str, object]
_T = TypeVar("_T")


def _jwe(entry: _Members, file: _Members, openers: dict[int, OpeningKey], place: str) -> _Check:
    sealed, world = _given(entry, "jwe", place), _world(entry, file, place)
    listed = _list(_given(file, "reviewer_enc_keys", "the file"), "reviewer_enc_keys")
    index = entry.get("open_as", 0)
    if type(index) is not int or not 0 <= index < len(listed):
        raise _bad(f"{place}.open_as", f"is no number from 0 to {len(listed) - 1}")
    if index not in openers:
        openers[index] = _own(lambda: OpeningKey.from_jwk(listed[index]), f"reviewer_enc_keys[{index}]")
    agents = {world.agent.jkt: world.agent}
    return lambda: open_command(
        sealed, opener=openers[index], manifest=world.manifest, agents=agents, now=world.now, used=world.used
    )


def _decisions(entry: _Members, file: _Members, _: dict[int, OpeningKey], place: str) -> _Check:
    sent, world = _given(entry, "jws", place), _world(entry, file, place)
    return lambda: decide(
        sent,
        ctx=world.ctx,
        policy=read_policy(world.policy),
        manifest=world.manifest,
        keys=world.keys,
        now=world.now,
        used=world.used,
        counters=world.counters,
    )


def _manifests(entry: _Members, file: _Members, _: dict[int, OpeningKey], place: str) -> _Check:
    chain, world = _given(entry, "chain", place), _world(entry, file, place)

    def check() -> None:
        newest = accept_chain(chain, last=world.last, keys=world.keys, now=world.now)
        if world.served_policy is not None:
            newest.check_policy(read_policy(world.served_policy))

    return check


def _receipts(entry: _Members, file: _Members, _: dict[int, OpeningKey], place: str) -> _Check:
    sent, world = _given(entry, "jws", place), _world(entry, file, place)

    def check() -> None:
        if world.ctx.ws != world.manifest.ws:
            raise Refused("workspace", "ctx.ws")
        verify_receipt(sent, ctx=world.ctx, agent=world.agent, out_sha256=world.output)

    return check


def _keys(entry: _Members, _: _Members, __: dict[int, OpeningKey], place: str) -> _Check:
    jwk, jkt, use = (_given(entry, name, place) for name in ("jwk", "jkt", "use"))
    kinds: dict[object, Callable[[object], SealingKey | VerifyingKey]] = {
        "enc": SealingKey.from_jwk,
        "sig": VerifyingKey.from_jwk,
    }
    if not isinstance(use, str) or use not in kinds:
        raise _bad(f"{place}.use", "is neither enc nor sig")

    def check() -> None:
        if kinds[use](jwk).jkt != jkt:
            raise Refused("thumbprint", "jwk")

    return check


_CHECKS: Final = {"jwe": _jwe, "decisions": _decisions, "manifests": _manifests, "receipts": _receipts, "keys": _keys}


def _world(entry: _Members, file: _Members, place: str) -> _World:
    """Return what the verifier knows: the file's state, with what the case says otherwise."""
    said = _object(entry.get("state") or {}, f"{place}.state")
    state = {**_object(_given(file, "state", "the file"), "state"), **said}
    now = state.get("now", file.get("now"))
    if type(now) is not int:
        raise _bad(f"{place}.state.now", "is no number of seconds")
    counters = _object(state.get("counters", {}), f"{place}.state.counters")
    if not all(type(count) is int for count in counters.values()):
        raise _bad(f"{place}.state.counters", "holds something else than numbers")
    used = _list(state.get("used", []), f"{place}.state.used")
    if "manifest" in said:  # a case may be about just that
        manifest = read_payload(said["manifest"])
    else:
        manifest = _manifest(state.get("manifest", file.get("manifest_payload")), "manifest_payload")
    last = _manifest(
        state.get("manifest_prev_payload", _given(file, "manifest_prev_payload", "the file")), "manifest_prev_payload"
    )
    ctx = read_context(said["ctx"]) if "ctx" in said else _own(lambda: read_context(file.get("ctx")), "ctx")
    return _World(
        now=now,
        used=frozenset(str(one) for one in used),
        counters=cast("Mapping[str, int]", counters),
        last=_of_workspace(last, state),
        manifest=_of_workspace(manifest, state),
        keys=_ring(file),
        agent=_own(lambda: VerifyingKey.from_jwk(_public(_given(file, "agent_sig_key", "the file"))), "agent_sig_key"),
        ctx=ctx,
        policy=state.get("policy", file.get("policy")),
        served_policy=state.get("served_policy"),
        output=_output(state, f"{place}.state.output_b64u"),
    )


def _manifest(value: object, place: str) -> Manifest:
    return _own(lambda: read_payload(value), place)


def _of_workspace(manifest: Manifest, state: _Members) -> Manifest:
    """Return `manifest` as that of the workspace in which the verifier is."""
    ws = state.get("ws", manifest.ws)
    if not isinstance(ws, str):
        raise _bad("state.ws", "is no text")
    return manifest._replace(ws=ws)


def _ring(file: _Members) -> dict[str, VerifyingKey]:
    """Return every public signing key of the file; which of them counts is for the manifest to say."""
    ring: dict[str, VerifyingKey] = {}
    for name in ("reviewer_sig_keys", "other_sig_keys", "root_keys", "other_root_keys"):
        for number, one in enumerate(_list(file.get(name, []), name)):
            key = _own(partial(VerifyingKey.from_jwk, _public(one)), f"{name}[{number}]")
            ring[key.jkt] = key
    return ring


def _public(jwk: object) -> object:
    """Return a key of the file without its secret half."""
    return {name: one for name, one in _object(jwk, "a key").items() if name not in _SECRET}


def _output(state: _Members, place: str) -> str | None:
    if "output_b64u" not in state:
        return None
    content = _own(lambda: form.octets(state["output_b64u"], place, most=_OUTPUT_BYTES), place)
    return base64url(hashlib.sha256(content).digest())


def _own(read: Callable[[], _T], place: str) -> _T:
    """Return what `read` makes of a part of the file that has to be good.

    Raises: BadInput.
    """
    try:
        return read()
    except Refused as refusal:
        raise _bad(place, f"is not usable: {refusal.sentence}") from None


def _given(members: _Members, name: str, place: str) -> object:
    if name not in members:
        raise _bad(place, f"lacks {name}")
    return members[name]


def _text(members: _Members, name: str, place: str) -> str:
    found = _given(members, name, place)
    if not isinstance(found, str):
        raise _bad(f"{place}.{name}", "is no text")
    return found


def _object(value: object, place: str) -> dict[str, object]:
    if not isinstance(value, dict):
        raise _bad(place, "is no object")
    return cast("dict[str, object]", value)


def _list(value: object, place: str) -> list[object]:
    if not isinstance(value, list):
        raise _bad(place, "is no list")
    return cast("list[object]", value)


def _bad(place: str, what: str) -> BadInput:
    return BadInput(
        f"The vectors cannot be read: {place} {what}.", hint="docs/sealed.md shows the shape of such a file."
    )
