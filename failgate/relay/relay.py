"""The contract of a relay: what of end-to-end mode is believed. A plugin fulfils it; `[gate] relay` names it.

Everything is pure: no file, no network, no clock. Values and refusals are those of `failgate.sealed`.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple, Protocol

from failgate.sealed.command import Context
from failgate.sealed.decision import Decision
from failgate.sealed.manifest import Manifest
from failgate.sealed.policy import Policy
from failgate.sealed.receipt import Receipt
from failgate.sealed.rules import Head, Run

Purpose = Literal["opening", "deciding", "asking"]


class Admitted(NamedTuple):
    """A sealed command as whoever has no key sees it; `size_bytes` is that of its padded content."""

    ctx: Context
    size_bytes: int


class Relay(Protocol):
    """Says what is believed. JWKs are given by their thumbprints; times are seconds since 1970.

    Each method raises Refused for what is not believed, and no other error.
    """

    @property
    def longest_wait_seconds(self) -> int:
        """Return for how long a command may wait at most."""
        ...

    @property
    def waiting_per_agent(self) -> int:
        """Return how many commands of one agent may wait at once."""
        ...

    def thumbprint(self, purpose: Purpose, jwk: object) -> str:
        """Return the thumbprint of a public key that may serve `purpose`."""
        ...

    def manifest(self, signed: object, last: object | None, now: int) -> Manifest:
        """Return the manifest `signed`: the one that follows the signed `last`, or the first one."""
        ...

    def policies(self, bodies: Sequence[object], manifest: Manifest) -> Mapping[str, Policy]:
        """Return the policies of `manifest` by their digests; `bodies` are exactly those."""
        ...

    def admit(self, sealed: object, manifest: Manifest, now: int) -> Admitted:
        """Return what the sealed command says in clear, when `manifest` bears it out."""
        ...

    def decision(self, sent: object, ctx: Context, manifest: Manifest, jwks: Mapping[str, Any], now: int) -> Decision:
        """Return the decision `sent` about the command of `ctx`, by a key of `jwks` that `manifest` names."""
        ...

    def is_enough(
        self,
        sent: Sequence[object],
        ctx: Context,
        manifest: Manifest,
        policy: Policy,
        jwks: Mapping[str, Any],
        now: int,
    ) -> bool:
        """Tell whether the decisions `sent`, each of which was believed, let the command run."""
        ...

    def context(self, sealed: object) -> Context:
        """Return what the sealed command, which was admitted before, says in clear."""
        ...

    def rules(self, signed: object, manifest: Manifest, now: int) -> Head:
        """Return the head `signed` of rules that machines judge by themselves, when `manifest` bears it out."""
        ...

    def run(self, sent: object, ws: str, jwks: Mapping[str, Any]) -> tuple[Run, str]:
        """Return what an agent ran by such rules, and the thumbprint of its key, one of `jwks`."""
        ...

    def receipt(self, sent: object, ctx: Context, jwk: object) -> Receipt:
        """Return the receipt `sent` of the command of `ctx`, by its agent's key `jwk`."""
        ...
