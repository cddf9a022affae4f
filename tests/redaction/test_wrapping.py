"""A secret that a terminal broke at its right edge is found. F17."""

import pytest

from failgate.redaction import Scanner, environment_secrets, redact

GITHUB = "ghp_" + "q7Xk2Lm9Zt4Vb8Rn3Wc6Hy1Pd5Gs0JfTa1b2"
SECRET = "Zx81spectrum48krubberkeys"


def wrapped(text: str, columns: int, end: str = "\n") -> str:
    return end.join(text[at : at + columns] for at in range(0, len(text), columns))


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("columns", [57, 80, 101, 120])
def test_a_token_broken_at_every_place_is_found_and_has_the_tag_of_the_whole(columns: int, end: str) -> None:
    scanner = Scanner(key=b"k" * 32)
    (whole,) = redact(GITHUB, scanner).findings
    for cut in range(1, len(GITHUB)):
        before = "# " + "a line of words " * 20
        text = wrapped(before[: columns - cut - 1] + " " + GITHUB + " and more", columns, end)
        assert end in text
        result = redact(text, scanner)
        assert [one.tag for one in result.findings] == [whole.tag], cut
        assert "".join(result.text.split()).endswith("andmore")


def test_a_token_over_four_lines_is_found_whole() -> None:
    token = "eyJhbGciOiJIUzI1NiJ9." + "eyJzdWIi" + "OiIxIn0" * 30 + ".c2lnbmF0dXJl" + "c2lnbmF0dXJl" * 4
    text = wrapped("error: the token " + token + " has expired", 80)
    result = redact(text, Scanner())
    assert len(result.findings) == 1
    assert "OiIx" not in result.text
    assert "c2lnb" not in result.text


def test_an_assigned_value_broken_at_a_terminals_width_is_found_whole() -> None:
    text = wrapped("x" * 40 + " export DEPLOY_API_KEY=" + "q7Xk2Lm9Zt4Vb8Rn3Wc6Hy1Pd5Gs0JfT", 80)
    assert "Gs0JfT" not in redact(text, Scanner()).text


def test_the_value_of_a_sensitive_variable_is_found_broken_with_a_colour_at_the_break() -> None:
    scanner = Scanner(values=environment_secrets({"MY_PASSWORD": SECRET}))
    text = "-" * 69 + " " + SECRET[:10] + "\x1b[0m\r\n\x1b[1m" + SECRET[10:] + " end"
    (found,) = redact(text, scanner).findings
    assert found.tag == redact(SECRET, scanner).findings[0].tag


def test_a_line_that_ends_with_a_whole_token_does_not_take_the_next_one_with_it() -> None:
    text = "2024-05-11 09:12:44 pushing with the token " + GITHUB + "\nDownloading 3 files\n"
    assert redact(text, Scanner()).text.endswith("]\nDownloading 3 files\n")


def test_pictures_in_base64_are_left_alone() -> None:
    line = "iVBORw0KGgoAAAANSUhEUgAAAAUAAAAFCAYAAACNbyblAAAAHElEQVQI12P4//8w38GIAXDIBKE0DHxgljNB"
    assert redact((line[:76] + "\n") * 400, Scanner()).findings == []
