"""A sealed workspace: real keys of people and of an agent, and what they sign. Nothing of it is the server's."""

import secrets
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from failgate.base.canonical import base64url, digest_of
from failgate.base.ids import new_id
from failgate.sealed.command import Context, commitment, read_context
from failgate.sealed.decision import decision_payload, sign_decision
from failgate.sealed.keys import OpeningKey, SealingKey, SigningKey
from failgate.sealed.manifest import NOTHING_BEFORE, sign_manifest
from failgate.sealed.sealing import seal_command

MARKER = "PLANTED-ca11ab1e"


@cache
def opener(number: int) -> OpeningKey:
    """Return one of a few RSA keys: to make them takes long."""
    return OpeningKey.generate()


@dataclass
class Reviewer:
    """A person with a key that opens and one that decides."""

    account: str
    number: int = 0
    signing: SigningKey = field(default_factory=SigningKey.generate)

    @property
    def opening(self) -> OpeningKey:
        return opener(self.number)

    @property
    def member(self) -> dict[str, Any]:
        return {
            "uid": self.account,
            "enc": self.opening.jkt,
            "roles": ["reviewer"],
            "sig": [{"class": "native", "jkt": self.signing.jkt}],
        }


@dataclass
class Sealed:
    """One workspace's manifests and commands, as its administrator and its agent make them."""

    ws: str
    people: list[Reviewer]
    now: int
    need: int = 1
    roots: list[SigningKey] = field(default_factory=lambda: [SigningKey.generate()])
    agent: SigningKey = field(default_factory=SigningKey.generate)
    epoch: int = 0
    prev: str = NOTHING_BEFORE

    @property
    def policy(self) -> dict[str, Any]:
        return {"deny": "wins", "id": "default", "need": self.need, "require": {}, "v": 1}

    def payload(self, **changes: Any) -> dict[str, Any]:
        return {
            "typ": "failgate-keys",
            "v": 1,
            "ws": self.ws,
            "epoch": self.epoch + 1,
            "prev": self.prev,
            "iat": self.now,
            "exp": self.now + 86_400,
            "roots": {"keys": sorted(one.jkt for one in self.roots), "m": min(2, len(self.roots))},
            "members": [one.member for one in self.people],
            "policies": {"default": digest_of(self.policy)},
            "agents": [self.agent.jkt],
            "e2ee": "required",
            **changes,
        }

    def signed(self, payload: dict[str, Any], *signers: SigningKey) -> dict[str, Any]:
        return {**sign_manifest(payload, signers or self.roots), "keys": [one.public_jwk() for one in self.roots]}

    def next(self, **changes: Any) -> dict[str, Any]:
        """Return the next signed manifest, as accepted."""
        payload = self.payload(**changes)
        self.epoch, self.prev = payload["epoch"], digest_of(payload)
        return self.signed(payload)

    def command(self, *argv: str) -> dict[str, Any]:
        return {
            "argv": list(argv) or ["/bin/echo", MARKER],
            "cwd": "/",
            "cwd_dev_ino": "1:2",
            "env": {"WHAT": MARKER},
            "exe": {"path": "/bin/echo", "sha256": base64url(bytes(32))},
            "host": "vault-host",
            "nonce": base64url(secrets.token_bytes(32)),
            "uid": 0,
            "v": 1,
        }

    def context(self, cmd: dict[str, Any], **changes: Any) -> Context:
        return read_context(
            {
                "agent": self.agent.jkt,
                "cid": new_id(),
                "commit": commitment(cmd),
                "epoch": self.epoch,
                "exp": self.now + 300,
                "iat": self.now,
                "policy": digest_of(self.policy),
                "rcpt": sorted(one.opening.jkt for one in self.people),
                "typ": "failgate-cmd",
                "v": 1,
                "ws": self.ws,
                **changes,
            }
        )

    def seal(self, cmd: dict[str, Any], ctx: Context) -> dict[str, Any]:
        readers = {one.opening.jkt: SealingKey.from_jwk(one.opening.public_jwk()) for one in self.people}
        return seal_command(cmd, ctx, signer=self.agent, readers=readers)

    def asked(self, *argv: str, **changes: Any) -> tuple[dict[str, Any], Context]:
        cmd = self.command(*argv)
        ctx = self.context(cmd, **changes)
        return self.seal(cmd, ctx), ctx

    def decided(self, who: Reviewer, ctx: Context, word: Any = "approve") -> str:
        payload = decision_payload(ctx, word, jti=secrets.token_hex(16), iat=self.now, exp=ctx.exp)
        return sign_decision(payload, who.signing)
