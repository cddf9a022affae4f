"""The WebAuthn relying party: what a browser is asked, and whether its answer is right. No storage.

The library `webauthn` takes a fifth of a second to load, so it is loaded at the first ceremony, in its thread.

Source: Web Authentication Level 3 sections 7.1 and 7.2.
"""

import base64
import hashlib
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import msgspec

from failgate.base.errors import NotSignedIn

if TYPE_CHECKING:
    from webauthn.helpers.cose import COSEAlgorithmIdentifier
    from webauthn.helpers.structs import PublicKeyCredentialDescriptor

LONGEST_ANSWER: Final = 16_384  # characters; an RSA key without attestation needs two thousand
TIMEOUT_MS: Final = 300_000
_TRANSPORTS: Final = frozenset({"usb", "nfc", "ble", "internal", "hybrid", "smart-card", "cable"})


@dataclass(frozen=True, slots=True)
class KnownCredential:
    """A credential of ours: its id and public key as the authenticator made them, and the last counter it showed."""

    credential_id: str
    public_key: bytes
    sign_count: int
    transports: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NewCredential(KnownCredential):
    """A credential that was just made; `aaguid` names the model of the authenticator."""

    aaguid: str = ""


class PasskeyRefused(NotSignedIn):
    """The answer of the authenticator is not right; `reason` is a word for the audit log."""

    def __init__(self, reason: str) -> None:
        """Keep `reason`."""
        super().__init__("This passkey was not accepted.", hint="Try again, or sign in another way.")
        self.reason = reason


class _Response(msgspec.Struct):
    clientDataJSON: str  # noqa: N815  # the standard's member
    attestationObject: str | None = None  # noqa: N815  # the standard's member
    authenticatorData: str | None = None  # noqa: N815  # the standard's member
    signature: str | None = None
    userHandle: str | None = None  # noqa: N815  # the standard's member
    transports: list[str] = []  # msgspec copies the empty default


class _Answer(msgspec.Struct):
    id: str
    rawId: str  # noqa: N815  # the standard's member
    type: str
    response: _Response


class _ClientData(msgspec.Struct):
    type: str
    challenge: str
    origin: str
    crossOrigin: bool = False  # noqa: N815  # the standard's member


@dataclass(frozen=True, slots=True)
class Answer:
    """What a browser sent, read but not checked. `user_handle` is the account id that the authenticator keeps."""

    credential_id: str
    challenge: bytes
    user_handle: str | None
    raw: dict[str, Any]
    client: _ClientData


def read_answer(text: str) -> Answer:
    """Read the JSON form of a credential.

    Raises: PasskeyRefused (`malformed`).
    Source: Web Authentication Level 3 section 5.1.8 (AuthenticationResponseJSON, RegistrationResponseJSON).
    """
    if len(text) > LONGEST_ANSWER:
        raise PasskeyRefused("malformed")
    try:
        sent = msgspec.json.decode(text, type=_Answer)
        client = msgspec.json.decode(_bytes(sent.response.clientDataJSON), type=_ClientData)
        challenge = _bytes(client.challenge)
        handle = _bytes(sent.response.userHandle).decode("ascii") if sent.response.userHandle else None
    except (msgspec.MsgspecError, ValueError, RecursionError):
        raise PasskeyRefused("malformed") from None
    raw: dict[str, Any] = msgspec.to_builtins(sent)
    raw["response"] = {name: value for name, value in raw["response"].items() if value is not None}
    return Answer(sent.id, challenge, handle, raw, client)


@dataclass(frozen=True, slots=True)
class RelyingParty:
    """This server as browsers know it: `id` is its host name, `origin` scheme, host and port."""

    id: str
    origin: str

    @classmethod
    def at(cls, base_url: str) -> "RelyingParty | None":
        """Return the relying party at `base_url`; None where browsers have no passkeys: see `why_none`."""
        if why_none(base_url) is not None:
            return None
        url = urlsplit(base_url)
        name = (url.hostname or "").lower()
        default = {"https": 443, "http": 80}[url.scheme]
        port = f":{url.port}" if url.port not in {None, default} else ""
        return cls(name, f"{url.scheme}://{name}{port}")

    def registration_options(
        self, challenge: bytes, account_id: str, email: str, known: Sequence[KnownCredential]
    ) -> str:
        """Return the JSON for `navigator.credentials.create`: a discoverable credential, user verification required."""
        import webauthn
        from webauthn.helpers import structs

        return webauthn.options_to_json(
            webauthn.generate_registration_options(
                rp_id=self.id,
                rp_name="Failgate",
                user_id=account_id.encode(),
                user_name=email,
                user_display_name=email,
                challenge=challenge,
                timeout=TIMEOUT_MS,
                authenticator_selection=structs.AuthenticatorSelectionCriteria(
                    resident_key=structs.ResidentKeyRequirement.REQUIRED,
                    require_resident_key=True,
                    user_verification=structs.UserVerificationRequirement.REQUIRED,
                ),
                exclude_credentials=_descriptors(known),
                supported_pub_key_algs=_algorithms(),
            )
        )

    def proof_options(self, challenge: bytes, known: Sequence[KnownCredential] = ()) -> str:
        """Return the JSON for `navigator.credentials.get`; without `known` the person chooses the account too."""
        import webauthn
        from webauthn.helpers import structs

        return webauthn.options_to_json(
            webauthn.generate_authentication_options(
                rp_id=self.id,
                challenge=challenge,
                timeout=TIMEOUT_MS,
                allow_credentials=_descriptors(known),
                user_verification=structs.UserVerificationRequirement.REQUIRED,
            )
        )

    def check_registration(self, answer: Answer) -> NewCredential:
        """Check what `navigator.credentials.create` gave; its challenge is the caller's to check.

        Raises: PasskeyRefused.
        """
        import webauthn

        self._check_client(answer, "webauthn.create")
        try:
            made = webauthn.verify_registration_response(
                credential=answer.raw,
                expected_challenge=answer.challenge,
                expected_rp_id=self.id,
                expected_origin=self.origin,
                require_user_verification=True,
                supported_pub_key_algs=_algorithms(),
            )
        except Exception:  # noqa: BLE001  # a foreign parser over a stranger's bytes: whatever it says, it is a no
            raise PasskeyRefused("not_verified") from None
        transports = tuple(word for word in answer.raw["response"].get("transports", ()) if word in _TRANSPORTS)
        return NewCredential(
            credential_id=_text(made.credential_id),
            public_key=made.credential_public_key,
            sign_count=made.sign_count,
            transports=transports[:8],
            aaguid=made.aaguid,
        )

    def check_proof(self, answer: Answer, known: KnownCredential) -> int:
        """Check what `navigator.credentials.get` gave; return the counter that the authenticator showed.

        Raises: PasskeyRefused.
        """
        import webauthn

        self._check_client(answer, "webauthn.get")
        try:
            proven = webauthn.verify_authentication_response(
                credential=answer.raw,
                expected_challenge=answer.challenge,
                expected_rp_id=self.id,
                expected_origin=self.origin,
                credential_public_key=known.public_key,
                credential_current_sign_count=known.sign_count,
                require_user_verification=True,
            )
        except Exception:  # noqa: BLE001  # a foreign parser over a stranger's bytes: whatever it says, it is a no
            raise PasskeyRefused(self._reason(answer, known)) from None
        return proven.new_sign_count

    def _check_client(self, answer: Answer, kind: str) -> None:
        # The library compares these too; here each has a word of its own for the audit log.
        if answer.client.type != kind:
            raise PasskeyRefused("wrong_ceremony")
        if answer.client.origin != self.origin:
            raise PasskeyRefused("wrong_origin")
        if answer.client.crossOrigin:  # no page of another site frames ours: the library lets it pass
            raise PasskeyRefused("cross_origin")

    def _reason(self, answer: Answer, known: KnownCredential) -> str:
        """Return a word for why the library refused; the library's own text may quote what a stranger sent."""
        try:
            data = _bytes(answer.raw["response"]["authenticatorData"])
        except (KeyError, ValueError):
            return "malformed"
        if len(data) < 37:
            return "malformed"
        if data[:32] != hashlib.sha256(self.id.encode()).digest():
            return "wrong_relying_party"
        if not data[32] & 0x04:
            return "user_not_verified"
        counter = int.from_bytes(data[33:37], "big")
        if counter <= known.sign_count and (counter, known.sign_count) != (0, 0):
            return "counter_regressed"
        return "wrong_signature"


def why_none(base_url: str) -> str | None:
    """Return why browsers have no passkeys at `base_url`, in one sentence with the mend; None where they have."""
    url = urlsplit(base_url)
    name = (url.hostname or "").lower()
    try:
        ipaddress.ip_address(name)
    except ValueError:
        if url.scheme == "https" or name == "localhost" or name.endswith(".localhost"):
            return None
        return f"Browsers offer passkeys only over https or at localhost, and this server is {base_url}."
    return (
        f"Passkeys belong to a name, and this server is at the address {name}. Whoever runs it sets [server] "
        "public_url to a name: for a trial on one machine, http://localhost with its port."
    )


def _algorithms() -> "list[COSEAlgorithmIdentifier]":
    """Return what new passkeys sign with: curves, 128 bits at least; the RSA of authenticators has 112."""
    from webauthn.helpers.cose import COSEAlgorithmIdentifier as Algorithm

    return [Algorithm.ECDSA_SHA_256, Algorithm.EDDSA, Algorithm.ECDSA_SHA_512]


def _descriptors(known: Sequence[KnownCredential]) -> "list[PublicKeyCredentialDescriptor]":
    from webauthn.helpers import structs

    return [
        structs.PublicKeyCredentialDescriptor(
            id=_bytes(one.credential_id),
            transports=[structs.AuthenticatorTransport(word) for word in one.transports] or None,
        )
        for one in known
    ]


def _bytes(text: str) -> bytes:
    """Return what base64url `text` stands for. Raises: ValueError."""
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
