"""How the program ends. E12."""

import pytest

from failgate.cli import main as room


@pytest.mark.parametrize("crash", [ImportError("half an upgrade"), KeyboardInterrupt(), BrokenPipeError()])
def test_a_hook_that_cannot_even_start_blocks(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], crash: BaseException
) -> None:
    """Any other code than 2 lets the call of the agent program through."""

    def broken(_: str) -> None:
        raise crash

    monkeypatch.setattr("importlib.import_module", broken)
    monkeypatch.setattr(room, "_silence_stdout", lambda: None)
    assert room.main(["hook", "claude-code"]) == 2
    assert room.main(["run", "--", "true"]) != 2
