"""Hostile requests, made from a seed: every door, most of them almost right, some of them no HTTP at all."""

import base64
import json
import random
import re
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

from failgate.base.ids import new_id
from failgate.web.csrf import FIELD, form_token
from failgate.web.door import Door

TEXTS = (
    "", " ", "\0", "a\0b", "\r\nX-Evil: 1", "\x1b[2J", "..", "../../etc/passwd", "%", "%00", "%ff", "%c0%af", "%u0041", "'", "' OR '1'='1",
    "'; DROP TABLE account;--", '"><script>alert(1)</script>', "{{7*7}}", "${jndi:ldap://x}", "\u202e", "\ufeff", "\U0001f4a9", "é" * 300,
    "a" * 5000, "0", "-1", "1e999", "NaN", "9223372036854775808", "99999999999999999999999999", "true", "null", "[]", "\ud800", "\\", "//evil.example",
    "https://evil.example", "Bearer x", "K\u0130", "\u1e9e", "ﬀ", "٣", "1٣", "2026-02-30", "+inf", "=1+1", "@x", "a@b", "x@example.org", "@" * 300,
    "urn:ietf:params:scim:schemas:core:2.0:User", "a.b.c", "eyJhbGciOiJub25lIn0.e30.", ("(" * 400), ("[" * 400), "0x7f", "١٢٣٤٥٦",
)  # fmt: skip
VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 2**31, 2**53, 2**63, 2**64, 10**400, 1.5, 1e308, [], {}, [[]], [None], {"": ""}, [1] * 300,
    {"a": {"b": {"c": []}}}, "", *TEXTS,
)  # fmt: skip
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
STRANGE = ("TRACE", "PROPFIND", "CONNECT", "PRI", "get", "M-SEARCH", "NOTHING", "\x00", "GET GET")
TYPES = (
    "application/json", "application/scim+json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain",
    "text/xml", "application/samlp+xml", "application/json; charset=utf-16", "application/json; charset=", "; boundary=", "a/b/c", "",
    "application/octet-stream", "multipart/form-data",
)  # fmt: skip
HEADERS = (
    "accept", "accept-language", "accept-encoding", "range", "if-none-match", "if-modified-since", "idempotency-key", "x-forwarded-proto",
    "x-forwarded-host", "forwarded", "x-real-ip", "origin", "referer", "sec-fetch-site", "sec-fetch-mode", "x-http-method-override", "user-agent",
    "content-encoding", "prefer", "te", "trailer", "via", "if-match", "x-request-id", "traceparent", "upgrade-insecure-requests", "dpop", "date",
    "client-cert", "x-workspace", "cookie2", "want-digest", "max-forwards", "authorization", "cookie", "host", "content-length", "upgrade",
)  # fmt: skip
FIELDS = (
    "action", "client_id", "client_name", "code", "confirm", "connection", "credential", "current", "days", "decision", "default_role", "device_code",
    "digest", "domain", "domain_id", "email", "grace", "grant_type", "group_0", "host", "kind", "label", "limit", "logout_token", "metadata",
    "metadata_url", "mine", "model", "name", "networks", "next", "note", "owner", "password", "refresh_token", "role", "role_0", "san", "scopes",
    "slug", "state", "tenants", "title", "token", "token_type_hint", "trust", "trusted_methods", "user_code", "workspace", "workspace_name",
    "issuer", "client_secret", "groups_claim", "iss", "error", "RelayState", "SAMLRequest", "SAMLResponse", "SigAlg", "Signature", "new",
)  # fmt: skip
QUERIES = (
    "after", "limit", "state", "workspace", "c", "q", "next", "token", "kind", "changed", "v", "seq", "size", "old", "new", "filter", "sortBy",
    "sortOrder", "startIndex", "count", "attributes", "excludedAttributes", "cursor", "code", "iss", "error", "error_description", "SAMLRequest",
    "SAMLResponse", "RelayState", "SigAlg", "Signature", "user_code", "wait",
)  # fmt: skip
FILTERS = (
    'userName eq "a"', "userName eq", 'emails[type eq "work" and value co "@"]', "not (", 'meta.lastModified gt "x"', "a.b.c.d pr", '"', "active eq true and",
    "members[value eq", 'userName sw "\\ud800"', " or ".join(['userName eq "a"'] * 200), "(" * 200 + "active pr" + ")" * 200, "urn:x:y eq 1",
)  # fmt: skip
XML = """<samlp:{kind} xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ID="_{id}" Version="2.0"
 IssueInstant="2026-01-02T03:04:05Z" Destination="{place}" InResponseTo="_{id}"><saml:Issuer>https://forge.example/metadata</saml:Issuer>
<samlp:Status><samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Success"/></samlp:Status><saml:Assertion ID="_a{id}" Version="2.0"
 IssueInstant="2026-01-02T03:04:05Z"><saml:Issuer>https://forge.example/metadata</saml:Issuer><saml:Subject><saml:NameID>a@example.org</saml:NameID>
</saml:Subject></saml:Assertion></samlp:{kind}>"""
ENTITIES = '<!DOCTYPE a [<!ENTITY x "y"><!ENTITY z SYSTEM "file:///etc/passwd">]>'
FRAMES = (
    b"\x81\x85\0\0\0\0hello", b"\x82\x80\0\0\0\0", b"\x81\x05hello", b"\x83\x80\0\0\0\0", b"\xf1\x80\0\0\0\0", b"\x01\x80\0\0\0\0", b"\x80\x80\0\0\0\0",
    b"\x88\x82\0\0\0\0\x03\xe8", b"\x88\x81\0\0\0\0x", b"\x88\x82\0\0\0\0\x00\x00", b"\x89\xfe\0\x7e\0\0\0\0" + b"a" * 126, b"\x81\xff" + b"\xff" * 12,
    b"\x81\x82\0\0\0\0\xff\xfe", b"\x8a\x80\0\0\0\0", b"GET / HTTP/1.1\r\n\r\n",
)  # fmt: skip


@dataclass(frozen=True)
class Speaker:
    """Who sends: headers that prove it, and the secret that keys their forms."""

    headers: dict[str, str] = field(default_factory=dict)
    form_key: str | None = None


@dataclass
class Noise:
    """A source of hostile requests. `ids` are those of real things, `bodies` good JSON by the name of its door."""

    chance: random.Random
    doors: Sequence[Door]
    speakers: Sequence[Speaker]
    host: str
    ids: Sequence[str]
    slugs: Sequence[str]
    bodies: dict[str, Callable[[], Any]]
    at: dict[str, Sequence[Speaker]]  # who is somebody at doors of a kind
    kept: frozenset[str]  # doors whose forms are never quite right: they would end what the others need

    def request(self, *, is_last: bool) -> tuple[bytes, str]:
        """Return a request that leaves its connection open (the last one closes it), and the name of its door."""
        chance = self.chance
        door = chance.choice(self.doors)
        speaker = chance.choice(self.at.get(door.kind, self.speakers) if chance.random() < 0.7 else self.speakers)
        method = door.method if chance.random() < 0.8 else chance.choice(METHODS)
        method = "GET" if method == "WS" else method
        headers = [("host", self.host), *speaker.headers.items()]
        if chance.random() < 0.7:
            headers.append(("origin", f"http://{self.host}"))
        headers.append(
            ("x-forwarded-for", f"10.{chance.randrange(256)}.{chance.randrange(256)}.{chance.randrange(256)}")
        )
        body, kind = b"", ""
        if method not in {"GET", "HEAD", "OPTIONS"} or chance.random() < 0.03:
            body, kind = self._body(door, speaker)
        if kind:
            headers.append(("content-type", kind if chance.random() < 0.95 else chance.choice(TYPES)))
        if chance.random() < 0.25:
            name = chance.choice(HEADERS[:-5])
            headers.append((name, self._header_text()))
        if chance.random() < 0.05:  # instead of what was right
            name = chance.choice(("authorization", "cookie", "host"))
            headers = [(key, value) for key, value in headers if key != name]
            headers.append((name, self._credential(name)))
        head = [f"{method} {self._path(door)}{self._query(door, method)} HTTP/1.1".encode("latin-1", "replace")]
        head += [f"{key}: {value}".encode("utf-8", "replace") for key, value in headers]
        if body and chance.random() < 0.1:
            head.append(b"transfer-encoding: chunked")
            body = self._chunked(body)
        else:
            head.append(b"content-length: %d" % len(body))
        if is_last:
            head.append(b"connection: close")
        return b"\r\n".join([*head, b"", body]), door.name

    def nonsense(self) -> bytes:
        """Return what is no HTTP, or HTTP that two readers read differently: the end of its connection."""
        chance = self.chance
        good, _ = self.request(is_last=True)
        match chance.randrange(9):
            case 0:
                return chance.randbytes(chance.randrange(1, 400)) + b"\r\n\r\n"
            case 1:
                spoiled = bytearray(good)
                for _ in range(chance.randrange(1, 6)):
                    spoiled[chance.randrange(len(spoiled))] = chance.randrange(256)
                return bytes(spoiled) + b"\r\n\r\n"
            case 2:
                return good.replace(b"\r\n", b"\n", chance.randrange(1, 4))
            case 3:
                return good.replace(b"content-length", b"transfer-encoding: chunked\r\ncontent-length", 1)
            case 4:
                return good.replace(
                    b"HTTP/1.1", chance.choice((b"HTTP/0.9", b"HTTP/2.0", b"HTTP/1.0", b"HTTP/1.11")), 1
                )
            case 5:
                return chance.choice(STRANGE).encode() + b" " + good.partition(b" ")[2]
            case 6:
                return good.partition(b"\r\n\r\n")[0] + b"\r\nx: " + b"a" * 70_000 + b"\r\n\r\n"
            case 7:
                return good[: chance.randrange(1, len(good))]
            case _:
                return good.replace(
                    b"host:", chance.choice((b"host :", b"\0host:", b"x-host:", b"host: a\r\nhost:")), 1
                )

    def handshake(self) -> bytes:
        """Return the handshake of a socket."""
        chance = self.chance
        agent, person = self.at["live"]
        path, speaker = chance.choice((("/api/v1/agent", agent), ("/api/v1/live?workspace=acme", person)))
        if chance.random() < 0.2:
            path = chance.choice(
                ("/api/v1/live", "/signin", "/api/v1/agent?workspace=%ff", "/api/v1/live?workspace=other")
            )
        if chance.random() < 0.2:
            speaker = chance.choice(self.speakers)
        key = chance.choice(("dGhlIHNhbXBsZSBub25jZQ==",) * 6 + ("x", ""))
        lines = [
            f"GET {path} HTTP/1.1", f"host: {self.host}", "connection: upgrade", "upgrade: websocket", f"sec-websocket-key: {key}",
            f"sec-websocket-version: {chance.choice(('13',) * 8 + ('8', 'x'))}", f"origin: {chance.choice((f'http://{self.host}',) * 5 + ('null',))}",
            *(f"{name}: {value}" for name, value in speaker.headers.items()),
        ]  # fmt: skip
        if chance.random() < 0.2:
            lines.append(
                f"sec-websocket-extensions: {chance.choice(('permessage-deflate', 'permessage-deflate; server_max_window_bits=0', ';', 'x'))}"
            )
        if chance.random() < 0.2:
            lines.append(f"sec-websocket-protocol: {self._header_text()}")
        return "\r\n".join([*lines, "", ""]).encode("utf-8", "replace")

    def frames(self) -> bytes:
        """Return what is said on an open socket."""
        return b"".join(self._frame() for _ in range(self.chance.randrange(6)))

    def _frame(self) -> bytes:
        chance = self.chance
        if chance.random() < 0.3:
            return chance.choice(FRAMES)
        kind = chance.choice(("submit", "consume", "outcome", "cancel", "x", None))
        value: Any = {
            "type": kind,
            "ref": chance.choice((*VALUES, 1, "r")),
            "id": chance.choice(self.ids),
            "digest": "x",
            "exit_code": 1,
            "duration_ms": 1,
        }
        if kind == "submit":
            value |= self.bodies["commands.submit"]()
        text = self._spoiled(value)
        size = len(text)
        length = (
            bytes([0x80 | size])
            if size < 126
            else b"\xfe" + size.to_bytes(2, "big")
            if size < 65_536
            else b"\xff" + size.to_bytes(8, "big")
        )
        return b"\x81" + length + b"\0\0\0\0" + text

    def _path(self, door: Door) -> str:
        chance = self.chance

        def filled(found: re.Match[str]) -> str:
            name = found[1]
            if chance.random() < 0.12:
                return quote(chance.choice(TEXTS).encode("utf-8", "replace"), safe=chance.choice(("", "/.'%")))
            if name in {"workspace", "connection"}:
                wanted = "acme" if name == "workspace" else "corp"
                return wanted if chance.random() < 0.7 else chance.choice(self.slugs)
            if name == "sha256":
                return "a" * 64
            if ":" in name:
                return chance.choice(("failgate.css", "../failgate.css", "a/b/c", "failgate.js"))
            if name == "name":
                return chance.choice(("User", "Group", "x"))
            return chance.choice(self.ids) if chance.random() < 0.8 else new_id()

        path = re.sub(r"\{([^}]+)\}", filled, door.path)
        if chance.random() < 0.03:
            path += chance.choice(("/", "//", "/..", "%2f", ";x", "/%00", "?", "/.", "\\"))
        path = path.replace(" ", "%20").replace("#", "%23").replace("?", "%3f")
        return "".join(
            character if "!" <= character <= "~" else quote(character.encode("utf-8", "replace")) for character in path
        )

    def _query(self, door: Door, method: str) -> str:
        chance = self.chance
        if door.kind == "live":
            return chance.choice(("?workspace=acme", "", "?workspace=other"))
        if chance.random() < (0.4 if method == "GET" else 0.85):
            return ""
        pairs: list[tuple[str, str]] = []
        for _ in range(chance.randrange(1, 4)):
            name = chance.choice(QUERIES)
            if name == "filter" or (door.kind == "scim" and chance.random() < 0.5):
                pairs.append(("filter", chance.choice(FILTERS)))
            elif name.startswith("SAML"):
                pairs.append((name, self._saml(deflated=True)))
            elif name == "wait":
                pairs.append(
                    (name, chance.choice(("x", "-1", "1e9", "", "99999999999999999999", "NaN", "0")))
                )  # never a long one
            else:
                pairs.append((name, chance.choice((*TEXTS, "1", "5", "acme", chance.choice(self.ids)))))
        text = urlencode([(name, value.encode("utf-8", "replace")) for name, value in pairs])
        return "?" + (
            text if chance.random() < 0.9 else text + chance.choice(("&", "&&=", "%", "&a&a", "%ff", "=", ";"))
        )

    def _body(self, door: Door, speaker: Speaker) -> tuple[bytes, str]:
        chance = self.chance
        luck = chance.random()
        if luck < 0.04:
            return chance.randbytes(chance.randrange(300)), chance.choice(TYPES)
        if luck < 0.07:
            return b'--x\r\nContent-Disposition: form-data; name="a"; filename="../b"\r\n\r\nc\r\n--x--\r\n', TYPES[3]
        if door.kind in {"page", "oauth"}:
            return self._form(door, speaker), "application/x-www-form-urlencoded"
        if door.name == "reports.upload":
            return chance.randbytes(64), "application/octet-stream"
        made = self.bodies.get(door.name) or self.bodies.get(door.name.partition("_")[0]) or (dict)
        return self._spoiled(made()), "application/scim+json" if door.kind == "scim" else "application/json"

    def _form(self, door: Door, speaker: Speaker) -> bytes:
        chance = self.chance
        pairs: list[tuple[str, str]] = []
        names = chance.sample(FIELDS, chance.randrange(1, 12))
        if door.is_cross_site:
            names = [chance.choice(("SAMLResponse", "SAMLRequest", "logout_token")), "RelayState"]
        for name in names:
            if name.startswith("SAML"):
                pairs.append((name, self._saml(deflated=False)))
            elif name in {"metadata_url", "issuer"}:
                pairs.append((name, chance.choice(("http://127.0.0.1:9/", *TEXTS))))  # nobody listens there
            elif name == "metadata":
                pairs.append((name, self._xml().decode("utf-8", "replace")))
            elif name == "grant_type":
                pairs.append(
                    (name, chance.choice(("refresh_token", "urn:ietf:params:oauth:grant-type:device_code", "x")))
                )
            else:
                pairs.append(
                    (
                        name,
                        chance.choice(
                            (
                                *TEXTS,
                                "acme",
                                "yes",
                                "saml",
                                "oidc",
                                "developer",
                                "failgate-cli",
                                "1d",
                                chance.choice(self.ids),
                            )
                        ),
                    )
                )
        if speaker.form_key is not None and door.name not in self.kept:
            pairs.append((FIELD, form_token(speaker.form_key)))
        elif chance.random() < 0.2:
            pairs.append((FIELD, chance.choice(TEXTS)))
        text = urlencode([(name, value.encode("utf-8", "replace")) for name, value in pairs]).encode()
        return (
            text
            if chance.random() < 0.93
            else text + chance.choice((b"&a=%ff", b"&a=%00", b"&=", b"&a=1&a=2", b"\xff", b"%", b"&" * 400))
        )

    def _spoiled(self, value: Any) -> bytes:
        """Return JSON in which one place, or none, is not as it should be."""
        chance = self.chance
        luck = chance.random()
        if luck < 0.6:
            value = self._changed(value)
        text = json.dumps(value, ensure_ascii=chance.random() < 0.5).encode("utf-8", "surrogatepass")
        if luck > 0.9:
            place = chance.randrange(len(text) + 1)
            text = (
                text[:place]
                + chance.choice(
                    (b"", b"\xff", b"\0", b"{", b"]", b",", b'"', b"\\u", b"1e999", b"NaN", b'"a":1,"a":2', b"[" * 90)
                )
                + text[place + 1 :]
            )
        return text

    def _changed(self, value: Any) -> Any:
        chance = self.chance
        if isinstance(value, dict) and value and chance.random() < 0.85:
            key = chance.choice(list(value))
            luck = chance.random()
            if luck < 0.1:
                return {name: each for name, each in value.items() if name != key}
            if luck < 0.2:
                return value | {chance.choice(TEXTS): chance.choice(VALUES)}
            return value | {key: self._changed(value[key])}
        if isinstance(value, list) and value and chance.random() < 0.7:
            place = chance.randrange(len(value))
            return [self._changed(each) if at == place else each for at, each in enumerate(value)]
        return chance.choice(VALUES)

    def _xml(self) -> bytes:
        chance = self.chance
        kind = chance.choice(("Response", "LogoutRequest", "LogoutResponse", "AuthnRequest"))
        text = XML.format(kind=kind, id=new_id(), place=f"http://{self.host}/sso/corp/acs")
        match chance.randrange(8):
            case 0:
                text = ENTITIES + text
            case 1:
                text = text.replace("2026-01-02T03:04:05Z", chance.choice(TEXTS).replace("\ud800", "x"), 1)
            case 2:
                text = "<a>" * chance.randrange(1, 2000) + text
            case 3:
                text = text.replace("_", chance.choice(("", "\0", "'", '"', "<", "&x;", "&#0;")), 1)
            case 4:
                text = f'<?xml version="1.0" encoding="{chance.choice(("utf-16", "utf-7", "x", "utf-8", ""))}"?>' + text
            case _:
                pass
        octets = bytearray(text.encode("utf-8", "replace"))
        for _ in range(chance.randrange(3)):
            octets[chance.randrange(len(octets))] = chance.randrange(256)
        return bytes(octets)

    def _saml(self, *, deflated: bool) -> str:
        chance = self.chance
        octets = self._xml()
        if deflated:
            octets = zlib.compress(octets)[2:-4]
        text = base64.b64encode(octets).decode()
        return text if chance.random() < 0.9 else text[: chance.randrange(len(text))] + chance.choice(TEXTS)

    def _header_text(self) -> str:
        chance = self.chance
        text = chance.choice(
            (
                *TEXTS,
                "bytes=0-",
                "bytes=-1",
                "bytes=9-1",
                "cross-site",
                "same-origin",
                "null",
                "gzip",
                "text/html",
                "*/*;q=2",
                '"x"',
                "a" * 300,
            )
        )
        return "".join(
            character
            for character in text
            if character >= " " and character != "\x7f" and not "\ud800" <= character <= "\udfff"
        )

    def _credential(self, name: str) -> str:
        chance = self.chance
        if name == "host":
            return chance.choice(
                (
                    "evil.example",
                    "",
                    "[::1",
                    "127.0.0.1:99999",
                    "a@b",
                    "localhost.",
                    "\u00e9.example",
                    "[",
                    "]:x",
                    "127.0.0.1:x",
                )
            )
        if name == "cookie":
            return chance.choice(
                (
                    "fg_session=",
                    "fg_session=x; fg_session=y",
                    "=",
                    ";;;",
                    "fg_form=x",
                    "fg_device=x",
                    "fg_sso=\u00e9",
                    "fg_session=" + "a" * 5000,
                    "a=b" * 2000,
                )
            )
        return chance.choice(
            (
                "Bearer", "Bearer ", "Bearer fg_usr_x", "Basic eDp5", "bearer a.b.c", "Bearer eyJhbGciOiJub25lIn0.e30.", "Bearer " + "a" * 9000,
                "Bearer fg_agt_" + "z" * 70, "Bearer \u00e9", "Digest x", "Bearer fg_scim_x", "Bearer eyJ0eXAiOiJhdCtqd3QiLCJhbGciOiJFZERTQSIsImtpZCI6Ii4uIn0.e30.AA",
            )
        )  # fmt: skip

    def _chunked(self, body: bytes) -> bytes:
        half = self.chance.randrange(1, len(body) + 1)
        pieces = [piece for piece in (body[:half], body[half:]) if piece]
        return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
