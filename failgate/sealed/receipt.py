"""What the agent signs after the run: which request, when, how it ended, the digest of its output."""

from __future__ import annotations

from typing import Final, NamedTuple

from failgate.base.canonical import canonical
from failgate.sealed import form
from failgate.sealed.command import Context
from failgate.sealed.keys import Signs, VerifyingKey
from failgate.sealed.refusal import Refused
from failgate.sealed.signing import sign, verified

TYP: Final = "failgate-receipt"
SIGNATURE_TYP: Final = "failgate-receipt+jws"
LARGEST_EXIT: Final = 255
_PAYLOAD_BYTES: Final = 4096
_MEMBERS: Final = ("cid", "commit", "ended", "exit", "out_sha256", "started", "typ", "v", "ws")


class Receipt(NamedTuple):
    """A run. Times are seconds since 1970; `exit` is 128+N after signal N; `out_sha256` is in base64url."""

    started: int
    ended: int
    exit: int
    out_sha256: str


def sign_receipt(receipt: Receipt, ctx: Context, signer: Signs) -> str:
    """Return `receipt` of the request of `ctx` as a compact JWS.

    Raises: Refused, when nobody would believe it.
    """
    payload = {
        **receipt._asdict(),
        "cid": ctx.cid,
        "commit": ctx.commit,
        "typ": TYP,
        "v": 1,
        "ws": ctx.ws,
    }
    if signer.jkt != ctx.agent:
        raise Refused("agent", "ctx.agent")
    _check_payload(payload, ctx)
    return sign(canonical(payload), SIGNATURE_TYP, signer)


def verify_receipt(sent: object, *, ctx: Context, agent: VerifyingKey, out_sha256: str | None = None) -> Receipt:
    """Return the receipt `sent` for the request of `ctx` by its own `agent`; of that output, if one is given.

    Raises: Refused (`agent`, `claims`, `times`, `output`, `signature`, …).
    """
    if agent.jkt != ctx.agent:
        raise Refused("agent", "ctx.agent")
    jws = verified(sent, SIGNATURE_TYP, {agent.jkt: agent}, "receipt", most=_PAYLOAD_BYTES)
    receipt = _check_payload(form.read_object(jws.payload, "receipt.payload"), ctx)
    if out_sha256 is not None and receipt.out_sha256 != out_sha256:
        raise Refused("output", "receipt.out_sha256")
    return receipt


def _check_payload(value: object, ctx: Context) -> Receipt:
    found = form.members(value, "receipt", _MEMBERS)
    form.exactly(found["typ"], TYP, "receipt.typ")
    form.exactly(found["v"], 1, "receipt.v")
    for name, wanted in (("cid", ctx.cid), ("commit", ctx.commit), ("ws", ctx.ws)):
        if found[name] != wanted:
            raise Refused("claims", f"receipt.{name}")
    started, ended = (form.integer(found[name], f"receipt.{name}") for name in ("started", "ended"))
    if ended < started or not ctx.iat - form.SKEW_SECONDS <= started <= ctx.exp:
        raise Refused("times", "receipt.started")
    return Receipt(
        started=started,
        ended=ended,
        exit=form.integer(found["exit"], "receipt.exit", most=LARGEST_EXIT),
        out_sha256=form.digest(found["out_sha256"], "receipt.out_sha256"),
    )
