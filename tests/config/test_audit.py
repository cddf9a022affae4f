"""`[audit]`: what is said of an exporter is said of one that follows the log. B11"""

import base64

import pytest

from failgate.base.ids import new_id
from failgate.base.vkey import LOG, WITNESS, Vkey
from failgate.config.errors import ConfigRefused
from failgate.config.load import parse_config
from failgate.config.units import Duration


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


VKEY = Vkey("witness.example/w1", WITNESS, bytes(range(32))).text
URL = "https://witness.example/path"


def test_witnesses_are_named_and_all_of_them_are_enough_unless_it_says_fewer() -> None:
    toml = f'[audit.witnesses.w1]\nurl = "{URL}"\nvkey = "{VKEY}"\n'
    section = parse_config(toml).audit
    assert (section.witnesses["w1"].url, section.effective_quorum) == (URL, 1)
    other = Vkey("witness.example/w2", WITNESS, bytes(32)).text
    two = f'{toml}[audit.witnesses.w2]\nurl = "{URL}"\nvkey = "{other}"\n'
    assert parse_config(two).audit.effective_quorum == 2
    said = parse_config(f'[audit]\nwitness_quorum = 1\nrequire_witness_within = "1h"\n{two}').audit
    assert (said.effective_quorum, said.require_witness_within) == (1, Duration("1h"))


@pytest.mark.parametrize(
    ("toml", "says"),
    [
        (f'witnesses.w1 = {{ url = "http://witness.example", vkey = "{VKEY}" }}', "is no witness's address"),
        (f'witnesses.w1 = {{ url = "https://a@witness.example", vkey = "{VKEY}" }}', "is no witness's address"),
        (f'witnesses.w1 = {{ url = "https://witness.example/?q", vkey = "{VKEY}" }}', "is no witness's address"),
        (f'witnesses.w1 = {{ url = "{URL}", vkey = "{VKEY.replace("+7e", "+00")}" }}', "id that does not belong"),
        (f'witnesses.w1 = {{ url = "{URL}", vkey = "w+00000000+AQ==" }}', "is not a witness's Ed25519 key"),
        (f'witnesses.w1 = {{ url = "{URL}", vkey = "{Vkey("l", LOG, bytes(32)).text}" }}', "is not a witness's"),
        (f'witnesses.w1 = {{ url = "{URL}" }}', "vkey"),
        (f'witnesses.w1 = {{ url = "{URL}", vkey = "{VKEY}" }}\nwitness_quorum = 2', "there are 1 witnesses"),
        ('require_witness_within = "1h"', "there are no witnesses"),
        (
            f'witnesses.w1 = {{ url = "{URL}", vkey = "{VKEY}" }}\nwitnesses.w2 = {{ url = "{URL}", vkey = "{VKEY}" }}',
            "two witnesses have this key",
        ),
    ],
)
def test_a_witness_that_cannot_be_one_is_refused_by_name(toml: str, says: str) -> None:
    text = mistakes(toml)
    assert says in text
    assert "audit." in text


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


def test_a_signer_is_a_socket_and_keeps_the_key_alone(tmp_path) -> None:
    toml = '[audit.signer]\nsocket = "/run/failgate-signer/socket"\n'
    signer = parse_config(toml).audit.signer
    assert signer is not None
    assert str(signer.socket) == "/run/failgate-signer/socket"
    assert parse_config("").audit.signer is None
    key = tmp_path / "log.key"
    key.write_text(base64.b64encode(bytes(32)).decode())
    with pytest.raises(ConfigRefused, match=r"with the signer or in \[keys\] log, not with both"):
        parse_config(f'{toml}[keys]\nlog = {{ file = "{key}" }}\n')
    with pytest.raises(ConfigRefused, match="socket"):
        parse_config("[audit.signer]\n")
