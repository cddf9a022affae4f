"""What Google Cloud Storage has of its own before a store that speaks S3: tokens of a service account, preconditions.

Google's XML interface is that of S3 in names of requests, answers, listings and multipart uploads; those are Ceph's
here. No emulator of it can be had from a registry, so this is no proof of what Google answers.

Source: Google Cloud Storage, XML API reference; self-signed JWT of a service account (RFC 7523).
"""

import contextlib
import http.client
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from failgate_objectstore import ObjectStoreSettings
from failgate_objectstore.signature import signed_headers
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

from failgate.base.clock import SystemClock
from failgate.plugin import Secret
from tests.peers.ceph_rgw import CephRgw

EMAIL = "failgate@tests.iam.gserviceaccount.com"
_CARRIED = ("content-type", "content-length", "range", "etag", "last-modified", "content-range")


@dataclass
class Google:
    """A front at `endpoint`; `refused` are the tokens that it did not take."""

    store: CephRgw
    key: rsa.RSAPrivateKey
    endpoint: str = ""
    refused: list[str] = field(default_factory=list)

    def settings(self, bucket: str, prefix: str = "", **changes: object) -> ObjectStoreSettings:
        """Return the plugin's settings for a bucket."""
        given: dict[str, object] = {
            "url": f"gs://{bucket}/{prefix}",
            "endpoint": self.endpoint,
            "service_account": Secret(self.service_account(self.key)),
        }
        return ObjectStoreSettings(**(given | changes))

    def service_account(self, key: rsa.RSAPrivateKey) -> str:
        """Return what Google's console gives out as a key."""
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        return json.dumps(
            {"type": "service_account", "client_email": EMAIL, "private_key_id": "k1", "private_key": pem}
        )

    def make_bucket(self, bucket: str) -> None:
        """Make a bucket that does not exist."""
        self.store.make_bucket(bucket)

    def admits(self, authorization: str) -> bool:
        """Tell whether the token is one of the service account, for a storage, and of now."""
        try:
            token = jwt.decode(
                authorization.removeprefix("Bearer "), RSAKey.import_key(self.key.public_key()), ["RS256"]
            )
        except (JoseError, ValueError):
            self.refused.append(authorization)
            return False
        said = token.claims
        is_good = (
            said["iss"] == EMAIL
            and said["iat"] <= time.time() < said["exp"]
            and "googleapis.com/auth/" in said["scope"]
        )
        if not is_good:
            self.refused.append(json.dumps(said))
        return is_good


@contextlib.contextmanager
def before(store: CephRgw) -> Iterator[Google]:
    """Stand before `store` until left."""
    front = Google(store, rsa.generate_private_key(65537, 2048))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _pass(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            if not front.admits(self.headers.get("authorization", "")):
                self._answer(401, {}, b"<Error><Code>AuthenticationRequired</Code></Error>")
                return
            asked = {name: self.headers[name] for name in ("content-type", "range") if name in self.headers}
            if self.headers.get("x-goog-if-generation-match") == "0":
                asked["if-none-match"] = "*"
            netloc = front.store.endpoint.removeprefix("http://")
            path, query = _canonical(self.path)
            signed = signed_headers(
                front.store.settings("signed"), netloc, SystemClock().now_us(), self.command, path, query, body, asked
            )
            behind = http.client.HTTPConnection(netloc, timeout=60)
            with contextlib.closing(behind):
                target = f"{path}?{query}" if query else path
                behind.request(self.command, target, body, signed | {"accept": "application/xml"})
                answer = behind.getresponse()
                kept = {name: answer.headers[name] for name in _CARRIED if name in answer.headers}
                self._answer(answer.status, kept, answer.read())

        def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
            self.send_response(status)
            for name, value in ({"content-length": str(len(body))} | headers).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Write nothing."""

    for method in ("GET", "HEAD", "PUT", "POST", "DELETE"):
        setattr(Handler, f"do_{method}", Handler._pass)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    front.endpoint = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield front
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _canonical(target: str) -> tuple[str, str]:
    """Return path and query as they are signed."""
    asked = urlsplit(target)
    query = sorted(parse_qsl(asked.query, keep_blank_values=True))
    return quote(unquote(asked.path), safe="/-_.~"), urlencode(query, quote_via=quote, safe="-_.~")
