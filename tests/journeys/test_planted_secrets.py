"""A secret of every kind in every free text of every door: none is in a log line, a letter, the audit log, what was exported, a metric.

The texts are the rules' own examples: what a rule finds in one is what may turn up nowhere. (SECURITY 2, issue 4.2)
"""

import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import cycle
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from failgate.base.canonical import digest_of
from failgate.redaction import RULES, Scanner, redact
from failgate.web.csrf import FIELD, form_token
from failgate.web.routes import DOORS
from tests.journeys import team
from tests.journeys.harness import NewDatabase, Server, failgate
from tests.journeys.team import WHERE, Visitor, command, person, program, sign_in
from tests.journeys.test_access_matrix import BODIES, QUERIES
from tests.journeys.test_bad_input import consented, manifest
from tests.journeys.test_people import mailbox

ENDING = frozenset({"page.signout", "page.sessions_close", "page.settings_rename", "page.password_change"})
WHO = "guest@acme.example"
TABLES = {
    False: "SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE 'audit%'",
    True: "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename LIKE 'audit%'",
}


def planted() -> dict[str, set[str]]:
    """Return texts, one for each rule, and in each what may turn up nowhere."""
    scanner, found = Scanner(), {}
    for rule in RULES:
        text = rule.matches[0]
        found[text] = {text[one.start : one.end] for one in redact(text, scanner).findings}
    return found


@dataclass
class Planting:
    """A server, who asks there, the texts, and what came back."""

    server: Server
    owner: Visitor
    agent: Visitor
    texts: Iterator[str]
    problems: list[str] = field(default_factory=list)
    doors: set[str] = field(default_factory=set)

    def ask(self, client: Visitor, method: str, path: str, **how: Any) -> httpx.Response:
        """Ask with secrets in the query, in the headers and wherever `how` has them."""
        one, other = next(self.texts), next(self.texts)
        headers = {
            "user-agent": one,
            "referer": f"https://x.example/?{other}",
            "accept-language": one,
            "x-request-id": other,
        }
        headers |= {"x-forwarded-for": other, "traceparent": one, **how.pop("headers", {})}
        wire = {name: " ".join(value.split()).encode() for name, value in headers.items()}
        joint = "&" if "?" in path else "?"
        answer = client.request(method, f"{path}{joint}q={quote(one)}&note={quote(other)}", headers=wire, **how)
        if "problem+json" in answer.headers.get("content-type", ""):
            self.problems.append(answer.text)
        assert answer.status_code < 500, (method, path, answer.text)
        return answer

    def form(self) -> dict[str, str]:
        """Return a form of the owner's with a secret in each field that a person fills in."""
        names = ("name", "title", "label", "note", "reason", "description", "model", "email", "slug", "code", "networks", "host", "domain",
                 "version", "days", "pattern", "must_match", "password", "passphrase", "user_code", "workspace_name", "san")  # fmt: skip
        return {FIELD: form_token(team.session_of(self.owner)), **{name: next(self.texts) for name in names}}

    def sweep(self) -> None:
        """Knock at every door with secrets in the path, the query, the headers, the body; nothing has to be let in."""
        for door in DOORS:
            if door.method == "WS" or door.name in ENDING:
                continue
            text = next(self.texts)
            path = door.path.replace("{workspace}", "acme")
            path = re.sub(r"\{[^}]+\}", lambda _, text=text: quote(text, safe=""), path)
            path += f"?{QUERIES[door.name]}".replace("{workspace}", quote(text)) if door.name in QUERIES else ""
            how: dict[str, Any] = {}
            if door.kind == "page" and door.method == "POST":
                how = {"data": self.form(), "headers": {"origin": self.server.url}}
            elif door.method in {"POST", "PUT", "PATCH"}:
                body = {
                    key: text if isinstance(value, str) else value for key, value in BODIES.get(door.name, {}).items()
                }
                how = {"json": body | {text: text}}
            self.ask(self.owner, door.method, path, **how)
            self.doors.add(door.name)

    def use(self) -> None:
        """Do what is let in, with secrets in everything that is a text."""
        for text in self.lines(20):
            body = command("/bin/sh", "-c", text, cwd=f"/src/{text[:200]}", host="builder", env={"LANG": text[:100]})
            asked = self.ask(
                self.agent,
                "POST",
                f"{WHERE}/commands",
                json={"command": body, "digest": digest_of(body), "reason": text},
            )
            if asked.status_code == 201:
                self.ask(self.agent, "POST", f"{WHERE}/commands/{asked.json()['id']}/cancel")
        for text in self.lines(8):
            document = manifest(
                text.encode(), argv=["pytest", text], title=text[:200], host=text[:60], cwd=f"/src/{text[:90]}"
            )
            self.ask(self.agent, "POST", f"{WHERE}/reports", json=consented(document))
            self.ask(
                self.owner,
                "POST",
                f"{WHERE}/rules",
                json={"kind": "exact", "effect": "allow", "argv": [text], "note": text},
            )
            self.ask(self.owner, "POST", f"{WHERE}/agents", json={"name": text[:60], "model": text[:60]})
            self.ask(self.owner, "POST", f"{WHERE}/api-keys", json={"label": text[:60]})
            rule = {
                "name": "x",
                "pattern": re.escape(text)[:400],
                "must_match": [text],
                "must_not_match": ["y"],
                "description": text[:190],
            }
            self.ask(self.owner, "POST", f"{WHERE}/redaction-rules", json=rule)

    def rename(self) -> None:
        """Give the workspace a name that is a secret, and invite somebody: the letter says the name."""
        name = "Team ghp_q7Xk2Lm9Zt4Vb8Rn3Wc6Hy1Pd5Gs0JfTa1b2"
        where = {"origin": self.server.url}
        renamed = self.ask(
            self.owner, "POST", "/w/acme/settings", data=self.form() | {"name": name, "title": name}, headers=where
        )
        assert renamed.status_code in {200, 303}, renamed.text
        self.ask(self.owner, "POST", f"{WHERE}/invitations", json={"role": "developer", "email": WHO})

    def lines(self, count: int) -> list[str]:
        """Return the next texts that are of one line."""
        found: list[str] = []
        while len(found) < count:
            text = next(self.texts)
            found += [] if "\n" in text else [text]
        return found


@pytest.fixture(scope="module")
def surfaces(new_database: NewDatabase, tmp_path_factory: pytest.TempPathFactory) -> tuple[Planting, dict[str, str]]:
    """Plant; return what was planted and every surface as one text."""
    data = tmp_path_factory.mktemp("planted") / "data"
    with mailbox() as (inbox, port):
        config = (
            '[audit]\nexporters = ["jsonl"]\n'
            f'[notify.smtp]\nhost = "127.0.0.1"\nport = {port}\nsender = "f@acme.example"\ntls = "none"\n'
        )
        with team.served(Server(data, database_url=new_database(), config=config)) as server:
            team.found_acme(server)
            lead = person(server, "lead", "owner")
            team.admin(server, "platform_role.grant", email=lead.email)
            token = team.admin(server, "agent.create", workspace="acme", name="ci", owner=lead.email)["token"]
            with sign_in(server, lead) as owner, program(server, token) as agent:
                planting = Planting(server, owner, agent, cycle(planted()))
                planting.use()
                planting.sweep()
                planting.rename()
                metrics = owner.get("/metrics").text
                deadline = time.monotonic() + 20
                while not inbox.letters and time.monotonic() < deadline:
                    time.sleep(0.05)
    tables = [row[0] for row in team.rows(server, TABLES["postgresql" in server.config.read_text()])]
    assert len(tables) > 3
    audited = [row for table in tables for row in team.rows(server, f"SELECT * FROM {table}")]
    exported = next(data.rglob("audit.jsonl")).read_text()
    assert exported.count("\n") > 50
    assert "Team [redacted:" in inbox.letters[0]
    return (
        planting,
        {
            "log": "".join(server.lines + server.logs),
            "letters": "".join(inbox.letters),
            "audit": repr(audited),
            "export": exported,
            "metrics": metrics,
            "problems": "".join(planting.problems),
        },
    )


@pytest.mark.parametrize("surface", ["log", "letters", "audit", "export", "metrics", "problems"])
def test_no_secret_of_any_kind_is_on_a_surface(surfaces: tuple[Planting, dict[str, str]], surface: str) -> None:
    planting, texts = surfaces
    assert len(planting.doors) > 200
    text = texts[surface]
    assert len(text) > 100
    found = [(rule, secret) for rule, secrets in planted().items() for secret in secrets if said(secret, text)]
    assert found == [], [text[max(0, text.find(s) - 200) : text.find(s) + 90] for _, s in found]
    assert "ghp_q7Xk2Lm9Zt4" not in text


def said(secret: str, text: str) -> bool:
    return len(secret) >= 8 and (secret in text or json.dumps(secret)[1:-1] in text or quote(secret) in text)


def test_the_last_words_of_a_crash_hold_no_secret() -> None:
    """A traceback, a sentence of refusal: what a command line prints to a log of a build."""
    token = "ghp_q7Xk2Lm9Zt4Vb8Rn3Wc6Hy1Pd5Gs0JfTa1b2"
    refused = failgate(token)
    assert refused.returncode == 2
    assert "There is no command '[redacted:" in refused.stderr
    assert token not in refused.stderr
