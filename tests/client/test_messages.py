"""What strangers wrote is shown inert."""

import pytest

from failgate.client.messages import inert


@pytest.mark.parametrize(
    "character",
    [
        "\x1b",
        "\r",
        "\n",
        "\x08",
        "\x9b",
        "\u202e",
        "\u200b",
        "\u2066",
        "\ufeff",
        "\ufe0f",
        "\u3164",
        "\u2800",
        "\U000e0041",
        "\u2028",
        "\x00",
        "\xa0",
        "\ud800",
    ],
)
def test_characters_that_move_colour_hide_or_reorder_are_spelled_out(character: str) -> None:
    assert inert(f"a{character}b") == f"a<U+{ord(character):04X}>b"


def test_ordinary_text_stays() -> None:
    assert inert("Grüße, Δοκιμή, 試験 — ok…") == "Grüße, Δοκιμή, 試験 — ok…"
