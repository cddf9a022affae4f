"""The real provider, one for a module."""

from collections.abc import Iterator

import pytest

from tests.peers.oidc_provider.peer import OidcProvider, provider


@pytest.fixture(scope="module")
def peer() -> Iterator[OidcProvider]:
    with provider() as running:
        yield running


@pytest.fixture(scope="module")
def second_peer() -> Iterator[OidcProvider]:
    with provider() as running:
        yield running
