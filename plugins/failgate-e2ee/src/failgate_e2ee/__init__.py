"""What of end-to-end mode is believed: the format of docs/sealed.md, as `failgate.sealed` reads it."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Annotated, Any

import msgspec

from failgate.plugin import (
    Admitted,
    Between,
    Duration,
    Host,
    Plugin,
    Provides,
    RelayPurpose,
    sealed,
)

__all__ = ["E2ee", "E2eeSettings", "plugin"]


class E2eeSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How long a sealed command may wait, and how many of one agent."""

    longest_wait: Annotated[Duration, Between("30s", "24h")] = Duration("24h")
    waiting_per_agent: Annotated[int, Between(1, 10_000)] = 100


class E2ee:
    """The relay of the format in docs/sealed.md."""

    def __init__(self, settings: E2eeSettings) -> None:
        """Take the bounds of `settings`."""
        self.longest_wait_seconds = round(settings.longest_wait.seconds)
        self.waiting_per_agent = settings.waiting_per_agent

    def thumbprint(self, purpose: RelayPurpose, jwk: object) -> str:
        """Return the thumbprint of an RSA key that opens, or of a P-256 key that signs."""
        if purpose == "opening":
            return sealed.SealingKey.from_jwk(jwk).jkt
        return sealed.VerifyingKey.from_jwk(jwk).jkt

    def manifest(self, signed: object, last: object | None, now: int) -> sealed.Manifest:
        """Return the manifest that follows the signed `last`, which was accepted, or the first one, in force."""
        if last is not None:
            return sealed.accept_chain([signed], last=_accepted(last), keys=_keys_of(last), now=now)
        first = sealed.first_manifest(signed, pin=_accepted(signed).digest, keys={}, now=now)
        first.check_in_force(now)
        return first

    def policies(self, bodies: Sequence[object], manifest: sealed.Manifest) -> Mapping[str, sealed.Policy]:
        """Return the policies of `manifest` by their digests."""
        found = [sealed.read_policy(body, f"policies[{place}]") for place, body in enumerate(bodies)]
        for place, policy in enumerate(found):
            manifest.check_policy(policy, f"policies[{place}]")
        if {policy.digest for policy in found} != set(manifest.policies.values()):
            raise sealed.Refused("policy", "policies")
        return {policy.digest: policy for policy in found}

    def admit(self, body: object, manifest: sealed.Manifest, now: int) -> Admitted:
        """Return what the sealed command says in clear, when `manifest`, which is in force, bears it out."""
        outer = sealed.read_outer(body)
        sealed.check_context(outer.ctx, manifest, now=now)
        if outer.ctx.exp - outer.ctx.iat > self.longest_wait_seconds:
            raise sealed.Refused("lifetime", "ctx.exp")
        return Admitted(outer.ctx, len(outer.ciphertext))

    def context(self, body: object) -> sealed.Context:
        """Return what a command that was admitted says in clear."""
        return sealed.read_outer(body).ctx

    def decision(
        self,
        sent: object,
        ctx: sealed.Context,
        manifest: sealed.Manifest,
        jwks: Mapping[str, Any],
        now: int,
    ) -> sealed.Decision:
        """Return the decision `sent` by a reviewer of `manifest`, which is in force."""
        sealed.check_context(ctx, manifest, now=now)
        ring = _ring(jwks, manifest)
        return sealed.verify_decision(sent, ctx=ctx, manifest=manifest, keys=ring, now=now, counters={})

    def is_enough(
        self,
        sent: Sequence[object],
        ctx: sealed.Context,
        manifest: sealed.Manifest,
        policy: sealed.Policy,
        jwks: Mapping[str, Any],
        now: int,
    ) -> bool:
        """Tell whether all of `sent` hold together and are enough; what is not believed any more is not enough."""
        try:
            sealed.decide(list(sent), ctx=ctx, policy=policy, manifest=manifest, keys=_ring(jwks, manifest), now=now)
        except sealed.Refused:
            return False
        return True

    def rules(self, signed: object, manifest: sealed.Manifest, now: int) -> sealed.Head:
        """Return the head `signed`, by enough roots of `manifest`, which is in force."""
        manifest.check_in_force(now)
        return sealed.verify_head(signed, manifest=manifest, now=now)

    def run(self, sent: object, ws: str, jwks: Mapping[str, Any]) -> tuple[sealed.Run, str]:
        """Return what an agent ran by such rules, and the thumbprint of its key."""
        ring = {jkt: sealed.VerifyingKey.from_jwk(jwk) for jkt, jwk in jwks.items()}
        return sealed.verify_run(sent, ws=ws, agents=ring)

    def receipt(self, sent: object, ctx: sealed.Context, jwk: object) -> sealed.Receipt:
        """Return the receipt of the command of `ctx`, signed by its agent."""
        return sealed.verify_receipt(sent, ctx=ctx, agent=sealed.VerifyingKey.from_jwk(jwk))


def _accepted(signed: object) -> sealed.Manifest:
    """Return the manifest in `signed`; who signed it is asked elsewhere."""
    found = sealed.form.members(signed, "manifest", ("payload", "signatures"), also=("keys",))
    payload = sealed.form.octets(found["payload"], "manifest.payload", most=sealed.MOST_BYTES)
    return sealed.read_payload(sealed.form.read_object(payload, "manifest.payload"))


def _keys_of(signed: object) -> dict[str, sealed.VerifyingKey]:
    found = sealed.form.an_object(signed, "manifest").get("keys", [])
    return sealed.ring_of(sealed.form.a_list(found, "manifest.keys", most=128))


def _ring(jwks: Mapping[str, Any], manifest: sealed.Manifest) -> dict[str, sealed.VerifyingKey]:
    """Return the keys of `jwks` with which people of `manifest` decide."""
    named = {key.jkt for person in manifest.people for key in person.keys}
    return {jkt: sealed.VerifyingKey.from_jwk(jwk) for jkt, jwk in jwks.items() if jkt in named}


@asynccontextmanager
async def open_e2ee(config: E2eeSettings, host: Host) -> AsyncGenerator[Provides]:
    """Open the relay."""
    host.log.info("relay.opened", longest_wait_seconds=round(config.longest_wait.seconds))
    yield Provides(relay=E2ee(config))


plugin = Plugin(name="e2ee", config=E2eeSettings, open=open_e2ee)
