"""Seal a command to reviewers, and open it: a JWS of the agent inside a JWE that names its context in clear.

Source: RFC 7516 sections 5 and 7.2.1, RFC 7518 sections 4.3 and 5.3, NIST SP 800-38D.
"""

from __future__ import annotations

import secrets
from collections.abc import Container, Mapping
from typing import Final, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from failgate.base.canonical import base64url, canonical
from failgate.sealed import form
from failgate.sealed.command import Context, check_command, check_context, commitment, read_context
from failgate.sealed.keys import OpeningKey, SealingKey, Signs, VerifyingKey
from failgate.sealed.manifest import MOST_PEOPLE, Manifest
from failgate.sealed.refusal import Refused
from failgate.sealed.signing import sign, verified

INNER_TYP: Final = "failgate-cmd+jws"
OUTER_TYP: Final = "failgate-cmd+jwe"
BUCKETS: Final = (1024, 4096, 16_384, 65_536)  # bytes of content: all that its length tells
STEP: Final = 1024
PROTECTED: Final = base64url(canonical({"cty": INNER_TYP, "enc": "A256GCM", "typ": OUTER_TYP}))
KEY_BYTES: Final = 32
IV_BYTES: Final = 12
TAG_BYTES: Final = 16
_WRAPPED_BYTES: Final = (384, 1024)  # RSA of 3,072 to 8,192 bits
_CONTEXT_BYTES: Final = 32 * 1024
_MEMBERS: Final = ("aad", "ciphertext", "iv", "protected", "recipients", "tag")


class Opened(NamedTuple):
    """A command that was opened, with the context to which everybody agrees."""

    cmd: dict[str, object]
    ctx: Context


class Outer(NamedTuple):
    """What a relay sees of a sealed command: `context` are the bytes of `ctx`; keys and bytes are as they were sent.

    `wrapped` are the wrapped content keys by the thumbprint of who opens them.
    """

    ctx: Context
    context: bytes
    wrapped: dict[str, bytes]
    iv: bytes
    ciphertext: bytes
    tag: bytes
    aad: str


def seal_command(
    cmd: Mapping[str, object], ctx: Context, *, signer: Signs, readers: Mapping[str, SealingKey]
) -> dict[str, object]:
    """Return `cmd` signed by the agent and sealed to `readers` (by thumbprint), as a JWE with a fresh key.

    Raises: Refused (`agent`, `commitment`, `recipients`; `too-large` beyond the largest bucket; `members`, …).
    """
    read_context(ctx.value())
    if signer.jkt != ctx.agent:
        raise Refused("agent", "ctx.agent")
    if commitment(cmd) != ctx.commit:
        raise Refused("commitment", "ctx.commit")
    if tuple(sorted(readers)) != ctx.rcpt or any(key.jkt != jkt for jkt, key in readers.items()):
        raise Refused("recipients", "ctx.rcpt")
    content = padded(sign(canonical({"cmd": cmd, "ctx": ctx.value()}), INNER_TYP, signer))
    aad = base64url(canonical(ctx.value()))
    key, iv = secrets.token_bytes(KEY_BYTES), secrets.token_bytes(IV_BYTES)
    sealed = AESGCM(key).encrypt(iv, content, _authenticated(aad))
    return {
        "aad": aad,
        "ciphertext": base64url(sealed[:-TAG_BYTES]),
        "iv": base64url(iv),
        "protected": PROTECTED,
        "recipients": [
            {"encrypted_key": base64url(readers[jkt].wrap(key)), "header": {"alg": "RSA-OAEP-256", "kid": jkt}}
            for jkt in ctx.rcpt
        ],
        "tag": base64url(sealed[-TAG_BYTES:]),
    }


def open_command(
    sealed: object,
    *,
    opener: OpeningKey,
    manifest: Manifest,
    agents: Mapping[str, VerifyingKey],
    now: int,
    used: Container[str] = (),
) -> Opened:
    """Return the command that one of `agents` sealed to `opener` under `manifest`.

    `used` holds the ids of requests that were decided before. Everything is checked before anything is returned.
    Raises: Refused.
    """
    outer = read_outer(sealed)
    ctx = outer.ctx
    check_context(ctx, manifest, now=now)
    if ctx.cid in used:
        raise Refused("replayed", "ctx.cid")
    if ctx.agent not in agents:
        raise Refused("agent", "ctx.agent")
    if opener.jkt not in outer.wrapped:
        raise Refused("not-a-recipient", "jwe.recipients")
    content = _decrypted(outer, opener.unwrap(outer.wrapped[opener.jkt], "jwe"))
    return Opened(_inner(content, ctx, outer.context, agents[ctx.agent]), ctx)


def read_outer(sealed: object) -> Outer:
    """Return what whoever has no key sees of the JWE `sealed`; its form alone is checked, nothing is opened.

    Raises: Refused.
    """
    found = form.members(sealed, "jwe", _MEMBERS)
    if found["protected"] != PROTECTED:
        raise Refused("header", "jwe.protected")
    context = form.octets(found["aad"], "jwe.aad", most=_CONTEXT_BYTES)
    ctx = read_context(form.read_object(context, "jwe.aad"))
    return Outer(
        ctx=ctx,
        context=context,
        wrapped=_recipients(found["recipients"], ctx),
        iv=form.octets(found["iv"], "jwe.iv", least=IV_BYTES, most=IV_BYTES),
        ciphertext=form.octets(found["ciphertext"], "jwe.ciphertext", least=STEP, most=BUCKETS[-1]),
        tag=form.octets(found["tag"], "jwe.tag", least=TAG_BYTES, most=TAG_BYTES),
        aad=str(found["aad"]),
    )


def padded(token: str) -> bytes:
    """Return `token`, a dot, and equal signs up to the next bucket.

    Raises: Refused (`too-large`).
    """
    content = f"{token}.".encode("ascii")
    for bucket in BUCKETS:
        if len(content) <= bucket:
            return content.ljust(bucket, b"=")
    raise Refused("too-large", "cmd")


def unpadded(content: bytes) -> str:
    """Return the token in `content`, whose length is a multiple of 1,024 up to 65,536 bytes.

    Raises: Refused (`padding`).
    """
    token = content.rstrip(b"=")
    if not content or len(content) % STEP or len(content) > BUCKETS[-1] or token[-1:] != b".":
        raise Refused("padding", "jws")
    if not token.isascii():
        raise Refused("encoding", "jws")
    return token[:-1].decode("ascii")


def _recipients(value: object, ctx: Context) -> dict[str, bytes]:
    """Return the wrapped keys by thumbprint; they are exactly those that the context names."""
    wrapped: dict[str, bytes] = {}
    for number, one in enumerate(form.a_list(value, "jwe.recipients", least=1, most=MOST_PEOPLE)):
        place = f"jwe.recipients[{number}]"
        found = form.members(one, place, ("encrypted_key", "header"))
        header = form.members(found["header"], f"{place}.header", ("alg", "kid"))
        if header["alg"] != "RSA-OAEP-256":
            raise Refused("header", f"{place}.header.alg")
        kid = form.digest(header["kid"], f"{place}.header.kid")
        if kid in wrapped:
            raise Refused("recipients", place)
        least, most = _WRAPPED_BYTES
        wrapped[kid] = form.octets(found["encrypted_key"], f"{place}.encrypted_key", least=least, most=most)
    if wrapped.keys() != set(ctx.rcpt):
        raise Refused("recipients", "jwe.recipients")
    return wrapped


def _decrypted(outer: Outer, key: bytes) -> bytes:
    if len(key) != KEY_BYTES:
        raise Refused("does-not-open", "jwe")
    try:
        return AESGCM(key).decrypt(outer.iv, outer.ciphertext + outer.tag, _authenticated(outer.aad))
    except InvalidTag:
        raise Refused("does-not-open", "jwe") from None


def _inner(content: bytes, ctx: Context, context: bytes, agent: VerifyingKey) -> dict[str, object]:
    """Return the command in `content`: signed by `agent`, with the same context, which commits to it."""
    token = unpadded(content)
    jws = verified(token, INNER_TYP, {agent.jkt: agent}, "jws", most=BUCKETS[-1])
    payload = form.members(form.read_object(jws.payload, "jws.payload"), "jws.payload", ("cmd", "ctx"))
    if form.written(payload["ctx"], "jws.payload.ctx") != context:
        raise Refused("context", "jws.payload.ctx")
    cmd = check_command(payload["cmd"])
    if commitment(cmd) != ctx.commit:
        raise Refused("commitment", "ctx.commit")
    return cmd


def _authenticated(aad: str) -> bytes:
    return f"{PROTECTED}.{aad}".encode("ascii")
