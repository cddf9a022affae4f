"""Every command asks for the same people. E5 B6."""

import pytest
from failgate_quorum import GroupSettings, Quorum, QuorumSettings, plugin

from failgate.config.errors import ConfigRefused
from failgate.plugin import CommandContext, Duration, Escalation, Group, SettingRefused
from failgate.testing import PolicyContract, command, host_at, opened, settings_from

CONTEXT = CommandContext("w", None, None, 0)


class TestQuorumContract(PolicyContract):
    @pytest.fixture(params=["plain", "groups"])
    def policy(self, request) -> Quorum:
        if request.param == "plain":
            return Quorum(QuorumSettings(need=2))
        groups = {"lead": GroupSettings(roles=("owner", "admin")), "ops": GroupSettings(members=("ann@acme.example",))}
        return Quorum(QuorumSettings(groups=groups, deny_after=2, use_within=Duration("30s")))


@pytest.mark.parametrize(("toml", "need"), [("", 1), ("need = 1", 1), ("need = 3", 3), ("need = 20", 20)])
async def test_it_asks_for_as_many_as_it_is_told(tmp_path, toml, need):
    async with opened(plugin, settings_from(plugin, toml), host_at(tmp_path)) as provides:
        finding = await provides.approval_policy.judge(command("rm"), CONTEXT)
        assert (finding.says, finding.need) == ("ask", need)
        assert provides.approval_policy.snapshot("w") == {"need": need}


async def test_it_asks_for_groups_with_numbers_of_their_own(tmp_path):
    toml = """
need = 2
deny_after = 2
exclude = ["eve@acme.example"]
decide_within = "5m"
use_within = "30s"

[groups.lead]
roles = ["owner", "admin"]

[groups.security]
need = 2
members = ["ann@acme.example", "bob@acme.example", "cy@acme.example"]
"""
    async with opened(plugin, settings_from(plugin, toml), host_at(tmp_path)) as provides:
        finding = await provides.approval_policy.judge(command("rm"), CONTEXT)
        assert (finding.need, finding.reason) == (3, "3 people have to approve: 1 of lead, 2 of security")
        terms = finding.terms
        assert terms.groups[0] == Group("lead", 1, ("owner", "admin"))
        assert (terms.deny_after, terms.excluded) == (2, ("eve@acme.example",))
        assert (terms.decide_within_seconds, terms.use_within_seconds) == (300, 30)
        assert provides.approval_policy.snapshot("w")["terms"]["groups"][1]["need"] == 2


async def test_it_says_who_is_told_while_nobody_decides(tmp_path):
    toml = """
[escalation.leads]
after = "2m"
roles = ["owner"]
[escalation.oncall]
after = "30s"
members = ["ann@acme.example"]
"""
    async with opened(plugin, settings_from(plugin, toml), host_at(tmp_path)) as provides:
        terms = (await provides.approval_policy.judge(command("rm"), CONTEXT)).terms
        assert terms.escalations == (
            Escalation(30, "oncall", (), ("ann@acme.example",)),
            Escalation(120, "leads", ("owner",)),
        )
        assert provides.approval_policy.snapshot("w")["terms"]["escalations"][0]["name"] == "oncall"


LONG = "\n".join(f'[escalation.s{number}]\nafter = "{number + 1}s"\nroles = ["owner"]' for number in range(11))


@pytest.mark.parametrize(
    ("toml", "says"),
    [
        ('[escalation.oncall]\nroles = ["owner"]', "oncall.*after"),
        ('[escalation.oncall]\nafter = "30s"', "oncall.members: a step has roles or members"),
        ('[escalation.oncall]\nafter = "0s"\nroles = ["owner"]', "oncall.after"),
        ('[escalation.oncall]\nafter = "30s"\nroles = ["developer"]', "oncall.roles"),
        ('[escalation.oncall]\nafter = "30s"\nmembers = ["ann"]', "oncall.members: say the addresses"),
        ('[escalation.On_Call]\nafter = "30s"\nroles = ["owner"]', "names of steps"),
        ('decide_within = "30s"\n[escalation.a]\nafter = "30s"\nroles = ["owner"]', "before decide_within is over"),
        (LONG, "at most 10 steps"),
    ],
)
def test_a_ladder_on_which_nobody_would_be_told_is_refused_by_name(toml, says):
    with pytest.raises(ConfigRefused, match=says):
        settings_from(plugin, toml)


@pytest.mark.parametrize(
    "toml",
    [
        "need = 0", "need = 21", 'need = "2"', "need = true", "needs = 2", "deny_after = 0 # need",
        "[groups.lead] # need", '[groups.lead]\nroles = ["developer"] # need',
        '[groups.lead]\nneed = 2\nmembers = ["ann@acme.example", "ANN@acme.example"]',
    ],
)  # fmt: skip
def test_a_number_of_people_that_is_none_stops_the_start(toml):
    with pytest.raises(Exception, match=r"need|deny_after|members|role"):
        settings_from(plugin, toml)


@pytest.mark.parametrize(
    "members",
    [
        {"groups": {"Lead": GroupSettings(roles=("owner",))}},
        {"groups": {"a": GroupSettings(need=11, roles=("owner",)), "b": GroupSettings(need=10, roles=("owner",))}},
        {"exclude": ("ann",)},
    ],
)
def test_what_could_not_be_met_is_refused(members):
    with pytest.raises(SettingRefused):
        QuorumSettings(**members)


@pytest.mark.parametrize(("word", "wanted"), [("off", None), ("owner", "owner"), ("reviewer", "reviewer")])
async def test_it_says_who_may_break_the_glass(tmp_path, word, wanted):
    async with opened(plugin, settings_from(plugin, f'break_glass = "{word}"'), host_at(tmp_path)) as provides:
        assert (await provides.approval_policy.judge(command("rm"), CONTEXT)).terms.break_glass == wanted
        assert ("terms" in provides.approval_policy.snapshot("w")) == (wanted is not None)


def test_nobody_else_breaks_the_glass():
    with pytest.raises(ConfigRefused):
        settings_from(plugin, 'break_glass = "developer"')
