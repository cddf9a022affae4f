"""C10: requests made from the OpenAPI document, by each kind of principal: no 5xx, nothing that it does not describe.

All checks of schemathesis but one: that what fits the schemas is accepted. A digest has to fit its command, a role its
person, and a schema does not say so.
"""

import importlib.util
import json
import random
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

from campaign import Campaign, Seen
from served import Server, clean_environment, founded

WHO = ("nobody", "forged", "agent", "auditor", "developer", "reviewer", "admin", "owner")
NOT_OF_A_DOCUMENT = "positive_data_acceptance"
OPERATIONS_OF_CONTROL = "/usage"


class NoSchemathesis(Exception):
    """The tool is missing."""


def credential_of(who: str, server: Server, key: str, token: str) -> str | None:
    """Return what this kind of principal speaks with; None for nobody."""
    known = {"owner": key, "agent": token, "nobody": None, "forged": "fg_key_" + "A" * 43}
    if who in known:
        return known[who]
    email = f"{who}@acme.example"
    server.admin("user", "create", "--email", email, "--password-stdin")
    server.admin("workspace", "add-member", "--workspace", "acme", "--email", email, "--role", who)
    made = server.admin("api-key", "create", "--workspace", "acme", "--email", email)
    return next(value for value in made.values() if isinstance(value, str) and value.startswith("fg_"))


def tried(server: Server, folder: Path, credential: str | None, count: int, seed: int, *only: str) -> dict[str, Any]:
    """Return what schemathesis reports of `count` examples each. Raises: RuntimeError (it did not run to its end)."""
    url, document, report = f"http://127.0.0.1:{server.port}", folder / "openapi.json", folder / "report.json"
    with urllib.request.urlopen(f"{url}/api/openapi.json", timeout=30) as answer:
        document.write_bytes(answer.read())
    done = subprocess.run(
        [
            sys.executable, "-m", "schemathesis.cli", "run", str(document), "--url", url,
            "--max-examples", str(count), "--seed", str(seed), "--exclude-checks", NOT_OF_A_DOCUMENT,
            "--continue-on-failure", "--no-shrink", "--suppress-health-check", "all", "--warnings", "off",
            "--generation-database", "none", "--no-color", "--report", "json", "--report-json-path", str(report),
            *only, *(["--header", f"Authorization: Bearer {credential}"] if credential else []),
        ],
        env=clean_environment(), capture_output=True, text=True, cwd=folder, check=False,
    )  # fmt: skip
    (folder / "said.txt").write_text(done.stdout + done.stderr)
    found: dict[str, Any] = json.loads(report.read_text()) if report.exists() else {}
    if not found.get("complete"):
        raise RuntimeError(f"schemathesis did not run to its end:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return found


def judge(seen: Seen, who: str, found: dict[str, Any]) -> None:
    for failure in found["failures"]:
        where = ", ".join(failure["operations"][:5])
        seen.expect(is_kept=False, what=f"{who}: {failure['title']}, {failure['count']} times: {where}")
    seen.expect(not found["errors"], f"{who}: {str(found['errors'])[:300]}")
    tried, selected = found["operations"]["tested"], found["operations"]["selected"]
    seen.expect(tried == selected > 0, f"{who}: {tried} of {selected} operations were tried")


def rounds(folder: Path, count: int, chance: random.Random) -> Seen:
    """Try as each principal, each at a server of its own: an owner may well end the others."""
    must_be_there()
    seen, requests, operations = Seen(count=count), 0, 0
    for who in WHO:
        place = folder / who
        place.mkdir()
        with founded(place) as (server, key, token):
            found = tried(server, place, credential_of(who, server, key, token), count, chance.randrange(1 << 30))
            seen.expect(server.is_running(), f"{who}: the server ended by itself")
        judge(seen, who, found)
        requests += found["test_cases"]["generated"]
        operations = found["operations"]["total"]
    seen.figures = {"principals": len(WHO), "operations": operations, "requests": requests}
    return seen


def control(folder: Path, chance: random.Random) -> Seen:
    """A document that does not tell of refusals."""
    must_be_there()
    seen = Seen(count=1)
    with founded(folder, fault="silent_document") as (server, _, token):
        only = "--include-path-regex", OPERATIONS_OF_CONTROL
        judge(seen, "agent", tried(server, folder, token, 1, chance.randrange(1 << 30), *only))
    return seen


def must_be_there() -> None:
    if importlib.util.find_spec("schemathesis") is None:
        raise NoSchemathesis("C10 needs schemathesis: pip install 'schemathesis>=4.32,<5'")


CAMPAIGN = Campaign(
    "C10", "requests made from the document meet no 5xx and nothing that it does not describe",
    "examples of each operation", "a document that does not tell of refusals",
    {"ci": 1, "nightly": 1000, "release": 5000}, rounds, control,
)  # fmt: skip
