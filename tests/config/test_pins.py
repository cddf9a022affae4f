import pytest

from failgate.config.errors import ConfigRefused
from failgate.config.load import parse_config
from failgate.config.pins import normalized

DIGEST = f"sha256:{'a1' * 32}"


def refused(toml: str) -> str:
    with pytest.raises(ConfigRefused) as caught:
        parse_config(toml)
    return str(caught.value)


def test_pins_are_by_name_and_without_the_section_there_are_none() -> None:
    assert parse_config("").pins.distributions is None
    assert parse_config("[pins.distributions]").pins.distributions == {}
    assert parse_config(f'[pins.distributions]\nacme = "{DIGEST}"').pins.distributions == {"acme": DIGEST}


@pytest.mark.parametrize(
    "text", ["", "a1" * 32, DIGEST.upper(), DIGEST[:-1], f"{DIGEST}\\n", DIGEST.replace("256", "512")]
)
def test_what_is_no_digest_is_refused_and_says_where_one_comes_from(text: str) -> None:
    told = refused(f'[pins.distributions]\nacme = "{text}"')
    assert "failgate.toml:2: pins.distributions.acme: takes" in told
    assert "failgate plugins --pins" in told


def test_one_distribution_is_pinned_once() -> None:
    told = refused(f'[pins.distributions]\nAcme_Thing = "{DIGEST}"\nacme-thing = "{DIGEST}"')
    assert "Acme_Thing and acme-thing are one distribution" in told


def test_names_are_compared_as_installers_compare_them() -> None:
    assert normalized("Acme__.Thing") == "acme-thing"
