"""What assembly hands on from the config."""

import pytest

from failgate.assembly import _outbound
from failgate.base.destination import OutboundRefused
from failgate.config.load import parse_config


@pytest.mark.parametrize(
    ("toml", "reason"),
    [
        ('outbound_hosts = ["10.20.0.5"]', "not-public"),
        ('outbound_hosts = ["10.20.0.5"]\noutbound_networks = ["10.20.0.0/16"]', None),
        ('outbound_hosts = ["idp.example"]\noutbound_networks = ["10.20.0.0/16"]', "not-listed"),
        ("outbound_hosts = []", "not-listed"),
        ("", "not-public"),
    ],
)
async def test_the_way_out_leads_where_the_config_says(toml: str, reason: str | None) -> None:
    outbound = _outbound(parse_config(f"[server]\n{toml}"))
    if reason is None:
        await outbound.check("https://10.20.0.5/")
        return
    with pytest.raises(OutboundRefused) as refused:
        await outbound.check("https://10.20.0.5/")
    assert refused.value.reason == reason
