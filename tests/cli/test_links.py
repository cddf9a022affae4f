"""What `failgate serve` prints for a person to open."""

import socket

import pytest

from failgate.cli.links import openable_host


async def test_an_address_is_named_as_it_is() -> None:
    assert await openable_host("127.0.0.1") == "127.0.0.1"
    assert await openable_host("::1") == "[::1]"


@pytest.mark.parametrize("wildcard", ["0.0.0.0", "::"])
async def test_a_wildcard_is_named_by_a_name_that_a_person_can_open(
    wildcard: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "LocalHost")
    assert await openable_host(wildcard) == "localhost"
    monkeypatch.setattr(socket, "gethostname", lambda: "no such name")
    assert await openable_host(wildcard) == "127.0.0.1"
