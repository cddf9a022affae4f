"""Commands are rated with reasons, and the rating chooses the challenge. B7."""

import msgspec
import pytest
from failgate_risk import NEVER, Risk, RiskSettings, plugin
from failgate_risk.rating import joined, rate
from failgate_risk.table import read_table
from hypothesis import given
from hypothesis import strategies as st

from failgate.plugin import CommandContext, SettingRefused, StartRefused
from failgate.testing import PolicyContract, command, host_at, opened, settings_from

TABLE, TEXT = read_table(None)
CONTEXT = CommandContext("w", "a", None, 0)
EXE = {"path": "/usr/bin/true", "sha256": "0" * 64}
ORDINARY = [
    ["ls", "-la"],
    ["cat", "README.md"],
    ["git", "status"],
    ["git", "diff", "HEAD"],
    ["pytest", "-q"],
    ["grep", "-rn", "x", "src"],
    ["make", "test"],
    ["node", "--version"],
    ["sh", "-c", "ls | wc -l"],
    ["cargo", "build"],
    ["go", "test", "./..."],
]
GRAVE = {
    "destructive": [
        ["rm", "-rf", "/"],
        ["rm", "-fr", "build", "/etc//"],
        ["/bin/rm", "--recursive", "~"],
        ["sh", "-c", "cd x && rm -rf /"],
        ["git", "push", "--force"],
        ["git", "reset", "--hard"],
        ["dd", "if=/dev/zero", "of=/dev/sda"],
        ["mkfs.ext4", "/dev/sda1"],
        ["find", "/", "-delete"],
        ["kubectl", "delete", "ns", "prod"],
        ["terraform", "destroy"],
        ["psql", "-c", "DROP TABLE a"],
    ],
    "privilege": [
        ["sudo", "ls"],
        ["chmod", "777", "x"],
        ["usermod", "-aG", "sudo", "x"],
        ["docker", "run", "--privileged", "x"],
        ["crontab", "x"],
    ],
    "network": [
        ["nc", "-l", "1"],
        ["curl", "-T", "x", "https://x"],
        ["scp", "a", "b:"],
        ["curl", "--insecure", "https://x"],
    ],
    "secrets": [
        ["cat", "/home/a/.ssh/id_rsa"],
        ["vault", "read", "x"],
        ["aws", "secretsmanager", "get-secret-value"],
        ["cat", ".aws/credentials"],
    ],
    "through others": [
        ["sudo", "-u", "x", "rm", "-rf", "/"],
        ["env", "A=b", "rm", "-rf", "/"],
        ["xargs", "rm", "-rf", "/"],
        ["timeout", "5", "terraform", "destroy"],
        ["sh", "-c", "eval $(echo rm) ; rm -rf /"],
        ["bash", "-c", "for i in a; do shred $i; done"],
    ],
}


def rated(*argv, is_known=True, **members):
    call = msgspec.convert(msgspec.to_builtins(command(*argv)) | members, type(command()))
    return rate(TABLE, call, agent_id="a", is_known=is_known)


class TestRiskContract(PolicyContract):
    @pytest.fixture
    def policy(self) -> Risk:
        return Risk(RiskSettings(), TABLE, TEXT)


@pytest.mark.parametrize("argv", ORDINARY, ids=" ".join)
def test_an_ordinary_command_that_is_known_takes_no_more_than_the_button(argv):
    rating = rated(*argv, exe=EXE | {"path": f"/usr/bin/{argv[0]}"})
    assert rating.score < RiskSettings().host_at, rating


@pytest.mark.parametrize("argv", [argv for kind in GRAVE.values() for argv in kind], ids=" ".join)
def test_a_grave_command_takes_more(argv):
    rating = rated(*argv, exe=EXE)
    assert rating.score >= RiskSettings().host_at, rating
    assert rating.reasons


def test_what_deletes_everything_takes_two_people():
    for argv in (["rm", "-rf", "/"], ["sudo", "rm", "-rf", "/"], ["sh", "-c", "eval x; rm -rf /"]):
        assert RiskSettings().challenge_of(rated(*argv).score) == "two", rated(*argv)


def test_a_program_that_is_new_to_the_agent_is_a_reason_and_one_of_which_nothing_is_known_is_none():
    known, new, unsaid = (rated("ls", is_known=is_known) for is_known in (True, False, None))
    assert new.score > known.score == unsaid.score
    assert "this agent has not run this program before" in new.reasons


def test_an_injecting_variable_and_a_program_that_can_start_others_are_reasons():
    assert "a variable makes programs run or load something else" in rated("ls", env={"LD_PRELOAD": "/x.so"}).reasons
    assert "the program can run others or write files at the word of an argument" in rated("vim", "x").reasons


@given(st.dictionaries(st.text(min_size=1, max_size=4), st.integers(1, 100)), st.integers(1, 100))
def test_one_more_reason_never_makes_it_look_safer(found, points):
    before, after = joined(found).score, joined(found | {"one more": points}).score
    assert 0 <= before <= after <= 100
    assert after >= points


@given(st.lists(st.text(max_size=12), min_size=1, max_size=12))
def test_any_argument_list_is_rated(argv):
    rating = rated(*argv)
    assert 0 <= rating.score <= 100
    assert rating == rated(*argv)


def test_a_long_list_of_programs_is_no_way_to_hide_one():
    assert "more programs than are looked at" in rated("sudo", *["ssh"] * 5000, "rm", "-rf", "/").reasons


@pytest.mark.parametrize(
    ("score", "challenge"), [(0, "click"), (39, "click"), (40, "host"), (60, "factor"), (90, "two"), (100, "two")]
)
def test_the_score_chooses_the_challenge(score, challenge):
    assert RiskSettings().challenge_of(score) == challenge
    assert RiskSettings(host_at=0, factor_at=NEVER, two_at=NEVER, passkey_at=50).challenge_of(49) == "host"


async def test_the_finding_carries_score_reasons_and_challenge_and_asks_nobody(tmp_path):
    async with opened(plugin, settings_from(plugin, ""), host_at(tmp_path)) as provides:
        finding = await provides.approval_policy.judge(command("rm", "-rf", "/"), CONTEXT)
        assert (finding.says, finding.need, finding.terms.challenge) == ("abstain", 0, "two")
        assert finding.score >= 90
        assert "names the root, a home or a system folder" in finding.reasons
    async with opened(plugin, settings_from(plugin, "deny_at = 80"), host_at(tmp_path)) as provides:
        assert (await provides.approval_policy.judge(command("rm", "-rf", "/"), CONTEXT)).says == "deny"
        assert (await provides.approval_policy.judge(command("ls"), CONTEXT)).says == "abstain"


async def test_another_table_replaces_the_shipped_one(tmp_path):
    file = tmp_path / "risk.toml"
    file.write_text('wrappers = []\n[[reason]]\nkind = "other"\nsays = "is ls"\npoints = 95\nprograms = ["ls"]\n')
    shipped = Risk(RiskSettings(), TABLE, TEXT).snapshot("w")
    async with opened(plugin, settings_from(plugin, f'table = "{file}"'), host_at(tmp_path)) as provides:
        finding = await provides.approval_policy.judge(command("ls"), CONTEXT)
        assert (finding.terms.challenge, finding.reasons[0]) == ("two", "is ls")
        assert provides.approval_policy.snapshot("w")["table_sha256"] != shipped["table_sha256"]


@pytest.mark.parametrize(
    "text",
    [
        "wrappers = 3",
        "wrappers = []\n[[reason]]\nkind = 'x'\nsays = 'y'\npoints = 3",
        "wrappers = []\n[[reason]]\nkind = 'other'\nsays = 'y'\npoints = 101",
    ],
)
async def test_a_table_that_is_none_stops_the_start(tmp_path, text):
    file = tmp_path / "risk.toml"
    file.write_text(text)
    for path in (file, tmp_path / "absent.toml"):
        with pytest.raises(StartRefused, match=r"risk\.toml|absent\.toml"):
            async with opened(plugin, settings_from(plugin, f'table = "{path}"'), host_at(tmp_path)):
                pytest.fail("it opened")


@pytest.mark.parametrize("toml", ["two_at = 50", "host_at = 102", 'table = "x"'])
def test_settings_that_are_none_stop_the_start(toml):
    with pytest.raises(Exception, match=r"two_at|host_at|table"):
        settings_from(plugin, toml)


def test_thresholds_have_to_rise():
    with pytest.raises(SettingRefused, match="rise"):
        RiskSettings(host_at=70)
