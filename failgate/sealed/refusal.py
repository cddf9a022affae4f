"""Why something sealed or signed is not believed: one word, which programs may rely on, and a sentence for people."""

from __future__ import annotations

from typing import Final

from failgate.base.errors import FailgateError

REASONS: Final[dict[str, str]] = {
    "shape": "It is not the text, list or object that belongs there",
    "too-large": "It is larger than the format allows",
    "encoding": "It is not base64url without padding in its one spelling",
    "not-canonical": "It is not canonical JSON (RFC 8785)",
    "members": "A member is missing, or there is one too many",
    "value": "A member has a value that the format does not allow",
    "header": "The protected header is not exactly the one that belongs there",
    "key": "The key is of a kind, size or form that is not used",
    "thumbprint": "The key is not the one that its thumbprint names",
    "unknown-key": "The key that signed is not one that is trusted for this",
    "signature": "The signature is not one of that key over these bytes",
    "workspace": "It belongs to another workspace",
    "epoch": "It is not of the epoch that is in force",
    "chain": "The manifest does not follow the last accepted one",
    "pin": "The first manifest is not the one that was pinned",
    "threshold": "Too few roots have signed",
    "signer-twice": "A root stands twice among the signers",
    "key-twice": "A key stands under two people, two agents, or twice",
    "person-twice": "A person stands twice in the manifest",
    "expired": "It has expired",
    "ahead": "It was issued in the future",
    "lifetime": "It lives longer than is allowed, or ends before it begins",
    "policy": "The policy is not the one that the manifest names",
    "agent": "The agent is not one that is enrolled",
    "recipients": "The recipients are not exactly the reviewers of the manifest",
    "not-a-recipient": "It is not sealed to this key",
    "does-not-open": "It does not open with this key: it was changed, or sealed otherwise",
    "padding": "The padding is not a dot and equal signs up to a multiple of 1,024 bytes",
    "context": "The signed context is not the one that travels in clear",
    "commitment": "The command is not the one to which the context commits",
    "claims": "It speaks of another request",
    "role": "The person is no reviewer",
    "class": "A key of this class does not sign in this form",
    "client-data": "The client data are not those of an assertion",
    "challenge": "The assertion answers another challenge",
    "origin": "The assertion was made on another origin",
    "relying-party": "The assertion was made for another relying party",
    "presence": "The person was not present and verified",
    "authenticator-data": "The authenticator data cannot be read to their end",
    "counter": "The authenticator has counted backwards: it may be a copy",
    "replayed": "It was used before",
    "denied": "A reviewer has denied",
    "quorum": "Too few people have approved",
    "class-quorum": "Too few people have approved with a key of the demanded class",
    "times": "The times of the run cannot be true",
    "output": "The output is another one",
}
"""Each word for a refusal with its sentence. Words are never renamed."""


class Refused(FailgateError):
    """Something sealed or signed is not believed; `reason` is one of `REASONS`, `place` says where it was found."""

    slug = "sealed-refused"
    status = 422
    title = "What is sealed or signed is not believed"

    def __init__(self, reason: str, place: str) -> None:
        """Keep `reason` and `place`; neither holds anything of what was refused."""
        super().__init__(f"{REASONS[reason]} ({place}).", reason=reason, place=place)
        self.reason = reason
        self.place = place
