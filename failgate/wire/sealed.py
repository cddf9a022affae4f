"""End-to-end mode, as the API takes and answers it: keys of devices, manifests, sealed commands, decisions.

JWKs, manifests, JWEs and decisions are those of docs/sealed.md; they are read strictly by `failgate.sealed`.
"""

from typing import Annotated, Any, Literal

import msgspec

Label = Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
Copy = Annotated[str, msgspec.Meta(max_length=12_288)]
KeyClass = Literal["browser", "native", "webauthn"]
Purpose = Literal["opening", "deciding", "asking"]
SealedState = Literal["pending", "approved", "denied", "expired", "cancelled", "executed"]


class NewDeviceKey(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """`POST device-keys`: a public key of one's own device; `class` of a deciding key, `rp`, `origins` of a passkey.

    `copies` of an opening key that one's devices share: each by the thumbprint of the opening key that it is sealed to.
    """

    purpose: Literal["opening", "deciding"]
    jwk: dict[str, str]
    label: Label
    key_class: KeyClass | None = msgspec.field(default=None, name="class")
    rp: Annotated[str, msgspec.Meta(max_length=253)] | None = None
    origins: Annotated[list[str], msgspec.Meta(max_length=32)] | None = None
    copies: Annotated[dict[str, Copy], msgspec.Meta(max_length=7)] | None = None


class NewAgentKey(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """`POST agent-keys`: the public key with which the agent that sends this signs what it asks."""

    jwk: dict[str, str]
    label: Label


class DeviceKeyView(msgspec.Struct, frozen=True, kw_only=True):
    """A public key; `account` or `agent` is whose it is."""

    id: str
    purpose: Purpose
    jkt: str
    jwk: dict[str, str]
    key_class: KeyClass | None = msgspec.field(name="class")
    rp: str | None
    origins: list[str] | None
    label: str
    account: str | None
    agent: str | None
    copies: dict[str, str] | None
    created_at: str
    revoked_at: str | None


class DeviceKeyPage(msgspec.Struct, frozen=True):
    """`GET device-keys`: all of them, so that `next` is null."""

    items: list[DeviceKeyView]
    next: str | None = None


class NewKeyManifest(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """`POST key-manifests`: a signed manifest, and the bodies of the policies that it names."""

    manifest: dict[str, Any]
    policies: Annotated[list[dict[str, Any]], msgspec.Meta(max_length=64)]


class KeyManifestView(msgspec.Struct, frozen=True, kw_only=True):
    """A manifest that was accepted; `digest` is that of its payload."""

    epoch: int
    digest: str
    expires_at: str
    accepted_at: str
    accepted_by: str | None


class KeyManifestChain(msgspec.Struct, frozen=True, kw_only=True):
    """`GET key-manifests`: signed manifests by their epochs, the keys and the policies that the newest one names.

    `workspace` is the id that manifests name. Nobody has to believe any of it: docs/sealed.md says how it is verified.
    `next` is the epoch to go on after, or null; `rules` is the newest signed head of rules, or null.
    """

    workspace: str
    items: list[dict[str, Any]]
    keys: list[dict[str, str]]
    policies: list[dict[str, Any]]
    next: str | None
    rules: dict[str, Any] | None = None


class NewSealedRules(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """`POST sealed-rules`: the signed head of rules that pinned machines judge by themselves; not the rules."""

    rules: dict[str, Any]


class SealedRulesView(msgspec.Struct, frozen=True, kw_only=True):
    """A head that was accepted; `digest` is that of its payload."""

    epoch: int
    digest: str
    expires_at: str
    accepted_at: str
    accepted_by: str | None


class NewSealedRun(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """`POST sealed-runs`: what an agent ran by such rules, signed by its key."""

    run: str


class SealedRunView(msgspec.Struct, frozen=True, kw_only=True):
    """A command that ran by signed rules. `digest` is the agent's `commit`, `rules` that of the head."""

    id: str
    agent: str
    digest: str
    rules: str
    exit_code: int
    taken_at: str
    run: str


class SealedRunPage(msgspec.Struct, frozen=True):
    """`GET sealed-runs`: the newest first."""

    items: list[SealedRunView]
    next: str | None = None


class SealedSubmission(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """`POST sealed-commands`: a command, sealed to the reviewers of the manifest in force."""

    sealed: dict[str, Any]


class SealedDecision(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """`POST sealed-commands/{id}/decisions`: a decision, signed as a compact JWS or by a passkey."""

    decision: str | dict[str, Any]


class SealedReceipt(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """`POST sealed-commands/{id}/receipt`: what the agent signed after the run."""

    receipt: str


class SealedCommandView(msgspec.Struct, frozen=True, kw_only=True):
    """A sealed command. `id` is the agent's `cid`, `digest` its `commit`; `state` is what the server counts.

    An agent believes `decisions` alone, each by itself.
    """

    id: str
    state: SealedState
    digest: str
    agent: str
    epoch: int
    size_bytes: int
    created_at: str
    expires_at: str
    sealed: dict[str, Any] | None
    decisions: list[str | dict[str, Any]]
    receipt: str | None


class SealedCommandPage(msgspec.Struct, frozen=True):
    """`GET sealed-commands`: the newest first, without their bodies and decisions."""

    items: list[SealedCommandView]
    next: str | None = None
