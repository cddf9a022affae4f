"""A stand-in for GitHub's OAuth 2 flow, the only peer that cannot be run: five endpoints on a free port.

Authorize page and its form, access_token, user, user/emails. A code is good once, for its redirect address and its PKCE
challenge; the secret is checked; errors come with status 200, as GitHub sends them.
"""

import base64
import hashlib
import html
import json
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

CLIENT_ID = "Iv1.0123456789abcdef"
CLIENT_SECRET = "github-secret"


class GitHub:
    """`people` maps a login to (user, emails); `url` is the address. Another login cancels."""

    def __init__(self) -> None:
        self.people: dict[str, tuple[dict[str, Any], list[dict[str, Any]]]] = {}
        self.codes: dict[str, dict[str, str]] = {}
        self.tokens: dict[str, str] = {}
        self.scopes: list[str] = []
        self.url = ""
        self.add(
            "octocat",
            583231,
            [
                {"email": "other@example.org", "primary": False, "verified": True},
                {"email": "Octocat@example.org", "primary": True, "verified": True},
            ],
        )

    def add(self, login: str, number: int, emails: list[dict[str, Any]]) -> None:
        self.people[login] = ({"id": number, "login": login, "name": f"The {login}"}, emails)

    def authorize(self, query: dict[str, str]) -> str:
        hidden = "".join(
            f'<input type="hidden" name="{html.escape(name)}" value="{html.escape(value)}">'
            for name, value in query.items()
        )
        return f'<form method="post" action="/login/oauth/authorize">{hidden}<input name="login" value=""></form>'

    def decide(self, form: dict[str, str]) -> str:
        self.scopes.append(form["scope"])
        answer = {"state": form["state"]}
        if form["login"] not in self.people:
            answer |= {"error": "access_denied", "error_description": "The user has denied your application access."}
        else:
            code = secrets.token_hex(10)
            self.codes[code] = form
            answer["code"] = code
        return f"{form['redirect_uri']}?{urlencode(answer)}"

    def redeem(self, form: dict[str, str]) -> dict[str, str]:
        if (form.get("client_id"), form.get("client_secret")) != (CLIENT_ID, CLIENT_SECRET):
            return {"error": "incorrect_client_credentials"}
        asked = self.codes.pop(form.get("code", ""), None)
        if asked is None:
            return {"error": "bad_verification_code"}
        if asked["redirect_uri"] != form.get("redirect_uri"):
            return {"error": "redirect_uri_mismatch"}
        challenge = base64.urlsafe_b64encode(hashlib.sha256(form.get("code_verifier", "").encode()).digest())
        if asked.get("code_challenge_method") != "S256" or challenge.decode().rstrip("=") != asked["code_challenge"]:
            return {"error": "bad_verification_code"}
        token = f"gho_{secrets.token_hex(18)}"
        self.tokens[token] = asked["login"]
        return {"access_token": token, "token_type": "bearer", "scope": asked["scope"].replace(" ", ",")}


def _handler(github: GitHub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def _send(self, status: int, body: str, kind: str = "application/json", **headers: str) -> None:
            self.send_response(status)
            for name, value in {"Content-Type": kind, "Content-Length": str(len(body.encode())), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body.encode())

        def _person(self) -> tuple[dict[str, Any], list[dict[str, Any]]] | None:
            token = self.headers.get("Authorization", "").removeprefix("Bearer ")
            return github.people.get(github.tokens.get(token, ""))

        def do_GET(self) -> None:
            where = urlsplit(self.path)
            person = self._person()
            if where.path == "/login/oauth/authorize":
                query = {name: values[0] for name, values in parse_qs(where.query).items()}
                self._send(200, github.authorize(query), "text/html")
            elif person is None:
                self._send(401, '{"message": "Bad credentials"}')
            elif where.path == "/api/v3/user":
                self._send(200, json.dumps(person[0]))
            elif where.path == "/api/v3/user/emails":
                self._send(200, json.dumps(person[1]))
            else:
                self._send(404, "{}")

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
            form = {name: values[0] for name, values in parse_qs(body, keep_blank_values=True).items()}
            if self.path == "/login/oauth/authorize":
                self._send(302, "", "text/html", Location=github.decide(form))
            elif self.path == "/login/oauth/access_token":
                self._send(200, json.dumps(github.redeem(form)))
            else:
                self._send(404, "{}")

    return Handler


@contextmanager
def github_stand_in() -> Iterator[GitHub]:
    github = GitHub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(github))
    github.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield github
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
