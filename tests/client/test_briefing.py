"""`failgate report context` of a local report."""

import sys
from pathlib import Path

import pytest

from failgate.base.errors import BadInput
from failgate.client.briefing import parse_tokens
from tests.client.conftest import Failgate


def test_a_local_report_is_told_within_its_budget(failgate: Failgate, work: Path) -> None:
    code = "import sys; print('`' * 40); print('x\\n' * 9000); sys.exit('ValueError: no price')"
    assert failgate("capture", "--", sys.executable, "-c", code).returncode == 1
    done = failgate("report", "context", "--budget", "1k")
    assert done.returncode == 0, done.stderr
    assert "ValueError: no price" in done.stdout
    assert len(done.stdout.encode()) <= 4000
    assert work.exists()


@pytest.mark.parametrize(("text", "tokens"), [("8k", 8000), ("400", 400), ("2K", 2000)])
def test_a_budget_is_read(text: str, tokens: int) -> None:
    assert parse_tokens(text) == tokens


@pytest.mark.parametrize("text", ["", "k", "8kb", "-1", "1", "9999999k", "٨k"])
def test_another_budget_is_refused(text: str) -> None:
    with pytest.raises(BadInput):
        parse_tokens(text)
