"""Requests to S3 that obstore has no call for, signed. Source: Amazon S3 API reference, Signature Version 4."""

import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime

from failgate_objectstore.settings import ObjectStoreSettings


def signed_headers(
    config: ObjectStoreSettings,
    netloc: str,
    now_us: int,
    method: str,
    target: str,
    query: str,
    body: bytes = b"",
    more: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Return the headers of a request to `netloc`, with `more` (names in lower case) among those that are signed.

    `target` is the path as it is sent, `query` sorted and quoted.
    """
    assert config.access_key is not None, "settings of s3 have keys"
    assert config.secret_key is not None, "settings of s3 have keys"
    at = datetime.fromtimestamp(now_us / 1_000_000, UTC).strftime("%Y%m%dT%H%M%SZ")
    digest = hashlib.sha256(body).hexdigest()
    signed = {"host": netloc, "x-amz-content-sha256": digest, "x-amz-date": at, **(more or {})}
    if config.session_token is not None:
        signed["x-amz-security-token"] = config.session_token.reveal()
    names = ";".join(sorted(signed))
    lines = "".join(f"{name}:{signed[name]}\n" for name in sorted(signed))
    canonical = f"{method}\n{target}\n{query}\n{lines}\n{names}\n{digest}"
    scope = f"{at[:8]}/{config.region}/s3/aws4_request"
    text = f"AWS4-HMAC-SHA256\n{at}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = b"AWS4" + config.secret_key.reveal().encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    access = config.access_key.reveal()
    del signed["host"]  # the connection says it
    return signed | {
        "Authorization": f"AWS4-HMAC-SHA256 Credential={access}/{scope}, SignedHeaders={names}, Signature={signature}",
    }
