"""Requests to Google Cloud Storage that obstore has no call for: by a token that the service account's key signs.

Source: RFC 7519; Google's service accounts, self-signed JSON Web Tokens with a scope.
"""

import base64
import json
from typing import Final

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from failgate.plugin import StorageUnavailable
from failgate_objectstore.settings import ObjectStoreSettings

SCOPE: Final = "https://www.googleapis.com/auth/devstorage.read_write"
VALID_SECONDS: Final = 300


def token_headers(config: ObjectStoreSettings, now_us: int) -> dict[str, str]:
    """Return the headers of a request at `now_us` (microseconds since 1970).

    Raises: StorageUnavailable (the settings hold no key of a service account).
    """
    assert config.service_account is not None, "settings of gs have a service account"
    now = now_us // 1_000_000
    try:
        account = json.loads(config.service_account.reveal())
        email, key = account["client_email"], load_pem_private_key(account["private_key"].encode(), None)
        head = {"alg": "RS256", "typ": "JWT", "kid": account.get("private_key_id", "")}
    except (ValueError, TypeError, KeyError, AttributeError):
        raise StorageUnavailable("The service account has no key.", hint="See docs/artifacts.md.") from None
    if not isinstance(key, RSAPrivateKey):
        raise StorageUnavailable("The key of the service account is no RSA key.", hint="See docs/artifacts.md.")
    said = {"iss": email, "sub": email, "scope": SCOPE, "iat": now, "exp": now + VALID_SECONDS}
    text = b".".join(_url64(json.dumps(part).encode()) for part in (head, said))
    token = b".".join((text, _url64(key.sign(text, PKCS1v15(), SHA256())))).decode()
    return {"Authorization": f"Bearer {token}"}


def _url64(content: bytes) -> bytes:
    return base64.urlsafe_b64encode(content).rstrip(b"=")
