"""Things of the workspace `acme` that once existed: made and taken away again at the doors of a real server.

An answer about one of them is the answer about what never was. What is only ended and stays to be seen (a command, an
agent, an account) has no deleted form.
"""

import json
import re
import time
from dataclasses import dataclass
from typing import Any

import httpx

from failgate.base.ids import new_id
from failgate.web.csrf import form_token
from failgate.web.door import Door
from tests.journeys import team
from tests.journeys.harness import Server
from tests.journeys.team import WHERE, Visitor, person, sign_in
from tests.journeys.test_bad_input import consented, manifest

STAYS = frozenset(
    {"command", "agent", "user", "receipt", "recording", "observing", "mute", "device_key", "sealed_command"}
)
"""Is ended, cancelled or disabled, and never deleted."""
LEAVES_NO_ROW = frozenset({"passkey", "device", "sign_in"})
"""Is deleted with its row, of which nothing is kept: its id is one that never was."""
_SCIM = {"content-type": "application/scim+json"}


@dataclass(frozen=True)
class Departed:
    """Ids of what is no more, by what it was; `live` are those of what it belonged to and is still there."""

    ids: dict[str, str]
    live: dict[str, str]

    def filling(self, door: Door) -> dict[str, str] | None:
        """Return what stands for each placeholder of the door's path so that it names something deleted, or None."""
        kind = kind_of(door)
        for inner in ("link", "token", "certificate"):
            if f"{{{inner}}}" in door.path:  # the inner thing is gone, the outer one is there
                return {"id": self.live[kind], inner: self.ids[inner]}
        if "{share}" in door.path:
            return {"share": self.ids["share"]}
        if "{connection}" in door.path:
            return {"connection": self.ids["slug"]}
        return {"id": self.ids[kind]} if "{id}" in door.path and kind in self.ids else None


def kind_of(door: Door) -> str:
    """Return what a door's `{id}` names."""
    for part, kind in (
        ("/recordings/{id}", "recording"), ("/w/{workspace}/sessions/{id}", "recording"),
        ("/reports/{id}", "report"), ("/report-groups/{id}", "group"), ("/commands/{id}", "command"), ("redaction", "redaction"),
        ("/rules/{id}", "rule"), ("/rule-proposals/{id}", "proposal"), ("/rules/proposals/{id}", "proposal"), ("/certificates/{id}", "certificate"), ("/agents/{id}", "agent"), ("/members/{id}", "member"),
        ("/invitations/{id}", "invitation"), ("/api-keys/{id}", "key"), ("/settings/sign-in/{id}", "connection"),
        ("/sign-ins/{id}", "sign_in"), ("/passkeys/{id}", "passkey"), ("/devices/{id}", "device"), ("/sessions/{id}", "session"),
        ("/device-keys/{id}", "device_key"), ("/agent-keys/{id}", "device_key"), ("/sealed-commands/{id}", "sealed_command"),
        ("/observing/{id}", "observing"), ("/mutes/{id}", "mute"), ("/audit/views/{id}", "view"), ("/deletion/{id}", "deletion"), ("/settings/delete/{id}", "deletion"), ("/deleted-workspaces/{id}", "receipt"),
        ("/logins/{id}", "login"), ("/webhooks/{id}", "webhook"), ("/settings/notifications/{id}", "webhook"), ("/platform/users/{id}", "user"), ("/Users/{id}", "scim_user"), ("/Groups/{id}", "scim_group"),
    ):  # fmt: skip
        if part in door.path:
            return kind
    return ""


def departed(
    server: Server, owner: Visitor, agent: Visitor, scim: Visitor, live: dict[str, str], known: dict[str, str]
) -> Departed:
    """Make one of each kind and take it away, beside the `known` ones; `live` names what stays: `report`, `agent`."""
    ids = dict(known)

    def made(client: Visitor, path: str, body: dict[str, Any]) -> dict[str, Any]:
        return _good(client.post(WHERE + path, json=body)).json()

    def gone(path: str) -> None:
        _good(owner.delete(WHERE + path))

    content = b"E   OSError: no such thing\n"
    document = manifest(content, argv=["never", "again"])
    ids["report"] = made(agent, "/reports", consented(document))["id"]
    artifact = document["artifacts"][0]["sha256"]  # type: ignore[index]  # as `manifest` writes it
    _good(agent.put(f"{WHERE}/reports/{ids['report']}/artifacts/{artifact}", content=content))
    _good(agent.post(f"{WHERE}/reports/{ids['report']}/seal"))
    ids["group"] = _good(owner.get(f"{WHERE}/report-groups")).json()["items"][0]["id"]
    assert ids["group"] != live.get("group")
    ids["share"] = made(owner, f"/reports/{ids['report']}/shares", {})["url"].rpartition("#")[2]
    link = made(owner, f"/reports/{live['report']}/shares", {})
    ids["link"] = link["id"]
    gone(f"/reports/{live['report']}/shares/{ids['link']}")
    gone(f"/reports/{ids['report']}")
    ids["rule"] = made(owner, "/rules", {"kind": "exact", "effect": "allow", "argv": ["/bin/gone"]})["id"]
    gone(f"/rules/{ids['rule']}")
    _good(owner.put(f"{WHERE}/rule-terms", json={"approvers": 1}))
    proposed = {"rules": [{"kind": "exact", "effect": "allow", "argv": ["/bin/gone"]}]}
    ids["proposal"] = made(owner, "/rule-proposals", proposed)["id"]
    gone(f"/rule-proposals/{ids['proposal']}")
    _good(owner.put(f"{WHERE}/rule-terms", json={"approvers": 0}))
    rule = {"name": "gone", "pattern": "gone-[0-9]+", "must_match": ["gone-1"], "must_not_match": ["gone"]}
    ids["redaction"] = made(owner, "/redaction-rules", rule)["id"]
    gone(f"/redaction-rules/{ids['redaction']}")
    ids["invitation"] = made(owner, "/invitations", {"role": "developer", "email": "gone@acme.example"})["id"]
    gone(f"/invitations/{ids['invitation']}")
    ids["key"] = made(owner, "/api-keys", {"label": "gone"})["id"]
    gone(f"/api-keys/{ids['key']}")
    ids["token"] = made(owner, f"/agents/{live['agent']}/tokens", {"label": "gone", "grace_seconds": 3600})["id"]
    gone(f"/agents/{live['agent']}/tokens/{ids['token']}")
    named = {"agent": live["agent"], "san": "spiffe://acme.example/gone"}
    ids["certificate"] = made(owner, "/certificates", named)["id"]
    gone(f"/certificates/{ids['certificate']}")
    ids["webhook"] = made(owner, "/webhooks", {"url": "https://1.1.1.1/gone", "events": ["report.regressed"]})["id"]
    gone(f"/webhooks/{ids['webhook']}")
    ids["view"] = _view(owner)
    ids["deletion"] = made(owner, "/deletion", {"name": "acme"})["id"]
    gone(f"/deletion/{ids['deletion']}")
    leaver = person(server, "left", "developer", with_totp=False)
    ids["member"] = leaver.id
    with sign_in(server, leaver) as browser:
        listed = browser.get("/account/sessions").text
        found = re.search(r'data-session="([0-9a-f-]{36})"', listed)
        assert found is not None
        ids["session"] = found[1]
        token = form_token(team.session_of(browser))
        _good(browser.post("/signout", data={"csrf_token": token}, headers={"origin": server.url}))
    team.admin(server, "workspace.remove_member", workspace="acme", email=leaver.email)
    ids["connection"], ids["slug"] = new_id(), "gone"
    _connection(server, ids["connection"], ids["slug"])
    team.sql(server, "DELETE FROM sso_connection WHERE id = $1", ids["connection"])
    for kind, path, body in (
        ("scim_user", "/scim/v2/Users", {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "left@acme.example"}),
        ("scim_group", "/scim/v2/Groups", {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"], "displayName": "gone"}),
    ):  # fmt: skip
        ids[kind] = _good(scim.post(path, content=json.dumps(body), headers=_SCIM)).json()["id"]
        _good(scim.delete(f"{path}/{ids[kind]}"))
    return Departed(ids, live)


def delete_workspace(server: Server, slug: str, one: Visitor, other: Visitor) -> None:
    """Delete the workspace `slug`, as two owners of it do, and wait until it is empty."""
    where = f"/api/v1/workspaces/{slug}/deletion"
    asked = _good(one.post(where, json={"name": slug})).json()["id"]
    _good(other.post(f"{where}/{asked}/confirm", json={"name": slug}))
    deadline = time.monotonic() + 60
    while one.get("/api/v1/deleted-workspaces").json()["items"][0]["state"] != "deleted":
        assert time.monotonic() < deadline, server.logs[-5:]
        time.sleep(0.05)


def _view(owner: Visitor) -> str:
    """Save a view of the audit log that all see and remove it; return its id."""
    where, fields = "/w/acme/audit", {"type": "vote.cast", "name": "gone", "shared": "on"}
    _good(team.form(owner, where, to=f"{where}/views", **fields))
    found = re.search(r"/audit/views/([0-9a-f-]{36})/remove", owner.get(f"{where}?type=vote.cast").text)
    assert found is not None
    _good(team.form(owner, where, to=f"/w/acme{found[0]}"))
    return found[1]


def _connection(server: Server, identifier: str, slug: str) -> None:
    settings = '{"kind": "saml", "entity_id": "https://idp.example/gone", "sso_url": "https://idp.example/gone"}'
    team.sql(
        server,
        "INSERT INTO sso_connection (id, slug, title, workspace_id, settings, roles, trusted_methods, is_enabled,"
        " is_listed, created_us, changed_us) SELECT $1, $2, 'Gone', id, $3, '[]', '[]', 1, 1, 1, 1 FROM workspace"
        " WHERE slug = 'acme'",
        identifier, slug, settings,
    )  # fmt: skip


def _good(answer: httpx.Response) -> httpx.Response:
    assert answer.status_code < 400, f"{answer.request.method} {answer.request.url}: {answer.text}"
    return answer
