"""The signature of Standard Webhooks. Pure.

Source: standard-webhooks specification, "Signature scheme": HMAC-SHA256 over `id.timestamp.body`, base64 after `v1,`;
with several secrets one signature each, with a space between them.
"""

import base64
import hashlib
import hmac
from collections.abc import Sequence

from failgate.plugin import Secret

PREFIX = "whsec_"


def check_secret(secret: Secret) -> None:
    """Refuse what no receiver could verify with. Raises: ValueError, without the secret.

    Source: standard-webhooks specification, "Symmetric": 24 to 64 bytes.
    """
    text = secret.reveal()
    try:
        key = base64.b64decode(text.removeprefix(PREFIX), validate=True)
    except ValueError:
        key = b""
    if not text.startswith(PREFIX) or not 24 <= len(key) <= 64:
        raise ValueError('takes "whsec_" and the base64 of 24 to 64 random bytes')


def headers_of(message_id: str, timestamp_seconds: int, body: bytes, secrets: Sequence[Secret]) -> dict[str, str]:
    """Return the three headers; `secrets` are all that are valid, each `whsec_` and base64."""
    signed = f"{message_id}.{timestamp_seconds}.".encode() + body
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp_seconds),
        "webhook-signature": " ".join(f"v1,{_signature(secret, signed)}" for secret in secrets),
    }


def _signature(secret: Secret, signed: bytes) -> str:
    key = base64.b64decode(secret.reveal().removeprefix(PREFIX), validate=True)
    return base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
