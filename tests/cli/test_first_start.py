"""What a server says when it begins, and who may be faster. B12"""

import pytest

from failgate.administration.administration import Administration
from failgate.cli.server import _announce
from tests.web.conftest import on_database, people, services

__all__ = ["on_database", "people", "services"]  # fixtures


async def test_who_bootstraps_while_the_first_link_is_made_is_faster_and_ends_nothing(
    services, people, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def not_yet() -> bool:
        return False

    monkeypatch.setattr(services.accounts, "exist", not_yet)  # asked just before the account was made
    await _announce(services, Administration(services), services.config, "127.0.0.1", 8440)
    said = capsys.readouterr().out
    assert "listening on http://127.0.0.1:8440" in said
    assert "first start" not in said
