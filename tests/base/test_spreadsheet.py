"""Tables that a spreadsheet opens: nothing in them is reckoned, nothing hides. E7"""

import csv
import io

import pytest

from failgate.base.spreadsheet import csv_of, seen

FORMULAS = ("=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "\0=1", "\uff1d1", "\uff0b1", "\uff0d1", "\uff201")


@pytest.mark.parametrize("text", FORMULAS)
def test_a_formula_is_text(text: str) -> None:
    [row] = csv.reader(io.StringIO(csv_of([(text, 1)]), newline=""))
    assert row == [f"'{text}", "1"]


def test_lines_end_and_quotes_stand_as_rfc_4180_says() -> None:
    assert csv_of([("a", 'b "c"', "d,e"), (-1, "f\r\ng", "")]) == 'a,"b ""c""","d,e"\r\n-1,"f\r\ng",\r\n'


def test_what_cannot_be_seen_is_named() -> None:
    assert seen("plain, ünïcode 名") == "plain, ünïcode 名"
    assert seen("a\u202eb\r\nc\u200bd\x1b[0m") == "a⟨U+202E⟩b⟨U+000D⟩⟨U+000A⟩c⟨U+200B⟩d⟨U+001B⟩[0m"
    assert seen("\u3164\u2066\u00ad") == "⟨U+3164⟩⟨U+2066⟩⟨U+00AD⟩"
