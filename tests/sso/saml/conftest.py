"""The real provider, once for all tests of this room."""

from collections.abc import Iterator

import pytest

from tests.peers.simplesaml import SimpleSamlPhp, require_simplesamlphp
from tests.sso.saml.provider import key_pair


@pytest.fixture(scope="session")
def simplesamlphp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleSamlPhp]:
    require_simplesamlphp()
    peer = SimpleSamlPhp(tmp_path_factory.mktemp("simplesamlphp"), key_pair("idp"))
    try:
        yield peer.start()
    finally:
        peer.stop()
