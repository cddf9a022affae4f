"""Where an SDK's key may stand. The documents themselves: tests/journeys/test_ingestion.py."""

from pathlib import Path

import pytest

from failgate.assembly import open_services
from failgate.config.load import parse_config
from tests.web.conftest import at_free_port, running


@pytest.mark.parametrize("is_old", [False, True])
async def test_a_key_in_the_address_is_read_where_the_config_says_so_alone(tmp_path: Path, *, is_old: bool) -> None:
    """ASVS 5.0 14.2.1: 401 is no key, 403 one that does not fit."""
    said = f'[server]\ntokens_in_addresses = {str(is_old).lower()}\n[reports]\nformats = ["capture", "sentry"]'
    with at_free_port(parse_config(said)) as config:
        async with (
            open_services(config, tmp_path / "data") as services,
            running(services) as server,
            server.client() as sdk,
        ):
            by_header = await sdk.post(
                "/api/1/envelope/", content=b"{}", headers={"x-sentry-auth": "Sentry sentry_key=" + "0" * 32}
            )
            by_address = await sdk.post(f"/api/1/envelope/?sentry_key={'0' * 32}", content=b"{}")
    assert (by_header.status_code, by_address.status_code) == (403, 403 if is_old else 401)
