"""Rules that a pinned machine judges by itself: a head that the roots sign, and a body that no server is given.

```text
body {rules, nonce} ── digest ──► head {epoch, exp, manifest, …} ── signed by the roots ──► through the server
   └── by hand, to each machine ──► what it allows runs at once ──► run, signed by the agent ──► to the server
```

The nonce makes the digest hiding: who has the head alone cannot try rules out. A head counts under the manifest that it
names, and under no other one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal, NamedTuple, cast

from failgate.base.canonical import base64url, canonical, digest_of
from failgate.sealed import form
from failgate.sealed.keys import Signs, VerifyingKey, ring_of
from failgate.sealed.manifest import LONGEST_LIFE_SECONDS, Manifest
from failgate.sealed.receipt import LARGEST_EXIT, Receipt
from failgate.sealed.refusal import Refused
from failgate.sealed.signing import MOST_SIGNATURES, header_of, sign, signers_of, verified

TYP: Final = "failgate-rules"
SIGNATURE_TYP: Final = "failgate-rules+jws"
RUN_TYP: Final = "failgate-run"
RUN_SIGNATURE_TYP: Final = "failgate-run+jws"
MOST_RULES: Final = 4096
_HEAD_BYTES: Final = 4096
_MOST_WORDS: Final = 256
_MOST_CHARACTERS: Final = 16_384
_HEAD: Final = ("epoch", "exp", "iat", "manifest", "rules", "typ", "v", "ws")
_RUN: Final = ("commit", "ended", "exit", "out_sha256", "rid", "rules", "started", "typ", "v", "ws")
RuleKind = Literal["exact", "prefix"]


class Head(NamedTuple):
    """What the roots sign: `rules` is the digest of the body, `manifest` that of the manifest it counts under.

    Times are seconds since 1970; `digest` is that of the head's own payload.
    """

    ws: str
    epoch: int
    manifest: str
    iat: int
    exp: int
    rules: str
    digest: str


class SignedRule(NamedTuple):
    """A rule that lets a command pass: exactly this list of arguments, or each that begins so."""

    id: str
    kind: RuleKind
    argv: tuple[str, ...]


class Run(NamedTuple):
    """What ran by the rules of the head with the digest `rules`; `rid` names it, `commit` is the command's digest."""

    rid: str
    rules: str
    commit: str
    receipt: Receipt


def read_head(value: object, place: str = "rules") -> Head:
    """Return the head whose payload is `value`; who signed it is another question.

    Raises: Refused (`members`, `value`, `lifetime`, …).
    """
    found = form.members(value, place, _HEAD)
    form.exactly(found["typ"], TYP, f"{place}.typ")
    form.exactly(found["v"], 1, f"{place}.v")
    iat, exp = form.life(found, place, most=LONGEST_LIFE_SECONDS)
    return Head(
        ws=form.uuid(found["ws"], f"{place}.ws"),
        epoch=form.integer(found["epoch"], f"{place}.epoch", least=1),
        manifest=form.digest(found["manifest"], f"{place}.manifest"),
        iat=iat,
        exp=exp,
        rules=form.digest(found["rules"], f"{place}.rules"),
        digest=digest_of(found),
    )


def verify_head(signed: object, *, manifest: Manifest, now: int, last: tuple[int, str] | None = None) -> Head:
    """Return the head `signed`, by enough roots of `manifest`, which is in force; keys come along with it.

    `last` is epoch and digest of the newest head that was believed: one before it, or another one in its place, is not.
    Raises: Refused (`workspace`, `chain`, `epoch`, `threshold`, `unknown-key`, `expired`, …).
    """
    found = form.members(signed, "rules", ("payload", "signatures"), also=("keys",))
    payload = form.octets(found["payload"], "rules.payload", most=_HEAD_BYTES)
    head = read_head(form.read_object(payload, "rules.payload"))
    keys = ring_of(form.a_list(found.get("keys", []), "rules.keys", most=MOST_SIGNATURES), "rules.keys")
    signers = signers_of(found, SIGNATURE_TYP, keys, "rules")
    if not set(signers) <= set(manifest.roots):
        raise Refused("unknown-key", "rules.signatures")
    if len(signers) < manifest.threshold:
        raise Refused("threshold", "rules.signatures")
    if head.ws != manifest.ws:
        raise Refused("workspace", "rules.ws")
    if head.manifest != manifest.digest:
        raise Refused("chain", "rules.manifest")
    if last is not None and (head.epoch < last[0] or (head.epoch == last[0] and head.digest != last[1])):
        raise Refused("epoch", "rules.epoch")
    form.check_now(head.iat, head.exp, now, "rules")
    return head


def sign_head(payload: Mapping[str, object], signers: Iterable[Signs]) -> dict[str, object]:
    """Return `payload`, which has to be well-formed, signed by each of `signers`. Raises: Refused."""
    read_head(dict(payload))
    encoded = base64url(canonical(payload))
    signatures = [
        {"protected": protected, "signature": base64url(signer.sign(f"{protected}.{encoded}".encode("ascii")))}
        for signer, protected in ((one, header_of(one.jkt, SIGNATURE_TYP)) for one in signers)
    ]
    return {"payload": encoded, "signatures": signatures}


def read_body(value: object, place: str = "body") -> tuple[tuple[SignedRule, ...], str]:
    """Return the rules of the body `value`, and the digest that a head has to name.

    Raises: Refused (`members`, `value`, …).
    """
    found = form.members(value, place, ("nonce", "rules", "v"))
    form.exactly(found["v"], 1, f"{place}.v")
    form.digest(found["nonce"], f"{place}.nonce")
    listed = form.a_list(found["rules"], f"{place}.rules", most=MOST_RULES)
    rules = tuple(_rule(one, f"{place}.rules[{number}]") for number, one in enumerate(listed))
    if len({one.id for one in rules}) != len(rules):
        raise Refused("value", f"{place}.rules")
    form.written(found, place)
    return rules, digest_of(found)


def sign_run(run: Run, ws: str, signer: Signs) -> str:
    """Return `run` as a compact JWS. Raises: Refused, when nobody would believe it."""
    payload: dict[str, Any] = {
        **run.receipt._asdict(), "commit": run.commit, "rid": run.rid, "rules": run.rules, "typ": RUN_TYP, "v": 1,
        "ws": ws,
    }  # fmt: skip
    _check_run(payload, ws)
    return sign(canonical(payload), RUN_SIGNATURE_TYP, signer)


def verify_run(sent: object, *, ws: str, agents: Mapping[str, VerifyingKey]) -> tuple[Run, str]:
    """Return what ran in the workspace `ws` by the word of one of `agents`, and the thumbprint of its key.

    Raises: Refused (`unknown-key`, `signature`, `workspace`, `times`, …).
    """
    jws = verified(sent, RUN_SIGNATURE_TYP, agents, "run", most=_HEAD_BYTES)
    return _check_run(form.read_object(jws.payload, "run.payload"), ws), jws.kid


def check_times(run: Run, head: Head) -> None:
    """Accept a run that began while `head` was valid. Raises: Refused (`times`)."""
    if not head.iat - form.SKEW_SECONDS <= run.receipt.started <= head.exp:
        raise Refused("times", "run.started")


def _check_run(value: object, ws: str) -> Run:
    found = form.members(value, "run", _RUN)
    form.exactly(found["typ"], RUN_TYP, "run.typ")
    form.exactly(found["v"], 1, "run.v")
    if found["ws"] != ws:
        raise Refused("workspace", "run.ws")
    started, ended = (form.integer(found[name], f"run.{name}") for name in ("started", "ended"))
    if ended < started:
        raise Refused("times", "run.ended")
    receipt = Receipt(
        started=started,
        ended=ended,
        exit=form.integer(found["exit"], "run.exit", most=LARGEST_EXIT),
        out_sha256=form.digest(found["out_sha256"], "run.out_sha256"),
    )
    rid, rules, commit = form.uuid(found["rid"], "run.rid"), found["rules"], found["commit"]
    return Run(rid, form.digest(rules, "run.rules"), form.digest(commit, "run.commit"), receipt)


def _rule(value: object, place: str) -> SignedRule:
    found = form.members(value, place, ("argv", "id", "kind"))
    kind = found["kind"]
    if not isinstance(kind, str) or kind not in {"exact", "prefix"}:
        raise Refused("value", f"{place}.kind")
    words = tuple(
        form.text(word, f"{place}.argv[{number}]", most=_MOST_CHARACTERS, is_empty_allowed=number > 0)
        for number, word in enumerate(form.a_list(found["argv"], f"{place}.argv", least=1, most=_MOST_WORDS))
    )
    return SignedRule(form.word(found["id"], f"{place}.id"), cast("RuleKind", kind), words)
