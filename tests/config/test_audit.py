"""`[audit]`: what is said of an exporter is said of one that follows the log. B11"""

import pytest

from failgate.base.ids import new_id
from failgate.config.errors import ConfigRefused
from failgate.config.load import parse_config


def mistakes(toml: str) -> str:
    with pytest.raises(ConfigRefused) as caught:
        parse_config(f'[audit]\nexporters = ["siem"]\n{toml}\n[plugins.siem]\nuse = "jsonl"\n')
    return str(caught.value)


def test_a_filter_is_of_one_exporter() -> None:
    workspace = new_id()
    toml = (
        f'[audit]\nexporters = ["jsonl"]\nfilters.jsonl = {{ acts = ["command.*"], logs = ["system", "{workspace}"] }}'
    )
    told = parse_config(toml).audit.filters["jsonl"]
    assert (told.acts, told.without, told.logs) == (("command.*",), (), ("system", workspace))


def test_what_is_required_is_an_exporter() -> None:
    section = parse_config('[audit]\nexporters = ["jsonl"]\nrequire = ["jsonl"]\nrequire_within = "90s"').audit
    assert (section.require, section.require_within.seconds) == (("jsonl",), 90.0)
    assert 'audit.require: "other" is not among [audit] exporters' in mistakes('require = ["other"]')
    assert "require_within" in mistakes('require_within = "0s"')


@pytest.mark.parametrize(
    ("toml", "says"),
    [
        ('filters.sieme = { acts = ["*"] }', '"sieme" is not among [audit] exporters'),
        ('filters.siem = { logs = ["acme"] }', 'takes "system", "workspaces"'),
        ('filters.siem = { act = ["*"] }', "no such setting"),
        ('filters.siem = { acts = "command.*" }', "takes a list"),
    ],
)
def test_what_filters_nothing_is_refused_by_name(toml: str, says: str) -> None:
    text = mistakes(toml)
    assert says in text
    assert "audit.filters" in text
