"""Nobody decides: a real server climbs the ladder, is killed between two steps, and tells each of them once. # B6 B9"""

import json
import sys
import time
from pathlib import Path
from subprocess import run

import httpx

from failgate.testing import receiving
from tests.journeys.harness import Server, clean_environment
from tests.journeys.team import WHERE, admin, ask, found_acme, person, program, sign_in
from tests.journeys.test_notifications import Mailbox, delivering_to, until

CONFIG = """
[server]
allow_loopback = true
[notify]
notifiers = ["webhook", "mail"]
[notify.smtp]
host = "127.0.0.1"
port = {port}
sender = "Failgate <f@acme.example>"
tls = "none"
[plugins.quorum.escalation.oncall]
after = "1s"
members = ["bob@acme.example"]
[plugins.quorum.escalation.leads]
after = "6s"
roles = ["admin"]
"""


def test_each_step_reaches_its_people_once_also_when_the_server_is_killed_between(
    server: Server, tmp_path: Path
) -> None:
    box = Mailbox()
    with delivering_to(box) as port, receiving() as receiver:
        server.config.write_text(server.config.read_text() + CONFIG.format(port=port))
        server.start(timeout=60)
        found_acme(server)
        bob, ada = person(server, "bob", "reviewer"), person(server, "ada", "admin")
        with sign_in(server, ada) as api:
            made = api.post(f"{WHERE}/webhooks", json={"url": receiver.url, "events": ["command.escalated"]})
            assert made.status_code == 201, made.text
        token = admin(server, "agent.create", workspace="acme", name="ci")["token"]
        with program(server, token) as agent:
            view = ask(agent, "/usr/bin/rm", "-r", "build", ttl_seconds=600)
        asked = time.monotonic()
        until(lambda: len(receiver.posted) == 1, "the first step was not told")
        assert 0.5 < time.monotonic() - asked < 5.5
        until(lambda: [letter["to"] for letter in box.letters] == [bob.email], "bob got no letter")
        # A server that is killed after it sent, before it knows that it did, sends again.
        until(
            lambda: 'failgate_notifications{state="waiting"} 0.0' in httpx.get(f"{server.url}/metrics").text, "not kept"
        )
        server.kill()
        server.start(timeout=60)
        until(lambda: len(receiver.posted) == 2, "the second step was not told after the kill")
        until(lambda: [letter["to"] for letter in box.letters] == [bob.email, ada.email], "ada got no letter")
        time.sleep(2.5)  # two more looks
        facts = [json.loads(posted.body)["data"] for posted in receiver.posted]
        assert [(one["group"], one["step"], one["command"]["id"]) for one in facts] == [
            ("oncall", 1, view["id"]),
            ("leads", 2, view["id"]),
        ]
        assert len(box.letters) == 2
        with sign_in(server, bob) as api:
            page = api.get(f"/w/acme/commands/{view['id']}").text
        assert 0 < page.index("Nobody decided: oncall") < page.index("Nobody decided: leads")
        env = clean_environment(
            FAILGATE_URL=server.url,
            FAILGATE_TOKEN=token,
            FAILGATE_WORKSPACE="acme",
            FAILGATE_HOME=str(tmp_path / "home"),
        )
        words = [sys.executable, "-m", "failgate", "policy", "explain", "--", "rm", "x"]
        said = run(words, env=env, cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60).stdout
        assert "while nobody decides: oncall after 1 s, leads after 6 s" in said
        assert server.stop() == 0
    assert server.verify().returncode == 0
