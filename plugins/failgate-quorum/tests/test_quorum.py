"""Every command asks for the same number of people. E5."""

import pytest
from failgate_quorum import Quorum, QuorumSettings, plugin

from failgate.plugin import CommandContext
from failgate.testing import PolicyContract, command, host_at, opened, settings_from


class TestQuorumContract(PolicyContract):
    @pytest.fixture
    def policy(self) -> Quorum:
        return Quorum(QuorumSettings(need=2))


@pytest.mark.parametrize(("toml", "need"), [("", 1), ("need = 1", 1), ("need = 3", 3), ("need = 20", 20)])
async def test_it_asks_for_as_many_as_it_is_told(tmp_path, toml, need):
    async with opened(plugin, settings_from(plugin, toml), host_at(tmp_path)) as provides:
        finding = await provides.approval_policy.judge(command("rm"), CommandContext("w", None, None, 0))
        assert (finding.says, finding.need) == ("ask", need)
        assert provides.approval_policy.snapshot("w") == {"need": need}


@pytest.mark.parametrize("toml", ["need = 0", "need = 21", 'need = "2"', "need = true", "needs = 2"])
def test_a_number_of_people_that_is_none_stops_the_start(toml):
    with pytest.raises(Exception, match="need"):
        settings_from(plugin, toml)
