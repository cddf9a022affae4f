"""What reviewers see is injective and inert. P4; SECURITY section 4, display spoofing."""

import random
import re
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from failgate.matching.rendering import CLOSE, OPEN, read_token, render, render_token, unrender, warnings

HARD = [
    *"aA0 -;'\"\\$`<>&",
    *(chr(code) for code in range(0x20)),
    *(chr(code) for code in range(0x7F, 0xA1)),
    *"\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e",
    *(chr(code) for code in range(0x2000, 0x2070)),
    *"\u2800\u3000\u3164\ufeff\uffa0\ufff9\ufffa\ufffb\ufffc\ufffd\uffff",
    *(chr(code) for code in range(0xFE00, 0xFE10)),
    *"\U000e0001\U000e0041\U000e007f\U000e0100\U000e01ef\U0010ffff\ue000",
    *"\u0430\u0435\u043e\u0440\u0441\u0391\u03bf\u0456\u0131\u017f\u0251\uff41\uff1b\u037e\u2215\u2044\u01c3\u01c0",
    *"\u0300\u0301\u0327\u0338\u20dd\u0489",
    *"\u00e9\u00f1\u00fc\u00df\u00e6\u1ec5\u0142\u00d8",
    *"\u6f22\u5b57\u05d0\u0627\u0e33\u0fd5\U0001f600\U0001f1e6\U0001d41a",
    OPEN,
    CLOSE,
    "\ud800",
    "\udfff",
]
PHRASES = [
    "",
    " ",
    "  ",
    "   ",
    "a b",
    "a  b",
    "a   b",
    "a" + " " * 400 + "b",
    " a",
    "a ",
    "\n",
    "ls .\nrm -rf ./x",
    "\r\x1b[2K",
    "\x1b]52;c;aGk=\x07",
    "\x1b]0;approve\x07",
    "\x1bP$q\x1b\\",
    "\x9b31m",
    "\u202egpj.exe",
    "pay\u200bments",
    "empty",
    f"{OPEN}empty{CLOSE}",
    f"{OPEN}U+0041 LATIN CAPITAL LETTER A{CLOSE}",
    f"{OPEN}U+0020 SPACE x3{CLOSE}",
    f"{OPEN}{OPEN}U+27E8{CLOSE}",
    "<script>alert(1)</script>",
    '" data-approve="',
    "&lt;b&gt;",
    "e\u0301",
    "\u00e9",
    "a" * 5000,
    "\u200b" * 5000,
    "x" * 100 + "\u2066",
]
CORPUS = [*HARD, *PHRASES, *(f"a{odd}b" for odd in HARD), *(odd * 2 for odd in HARD), *(odd * 3 for odd in HARD)]
LATIN = re.compile("[\u00c0-\u017f\u0218-\u021b\u1ea0-\u1ef9]")


def is_inert(text: str) -> bool:
    return all(" " <= character <= "~" or character in {OPEN, CLOSE} or LATIN.match(character) for character in text)


def test_the_corpus_is_large_enough():
    assert len(set(CORPUS)) >= 400


@pytest.mark.parametrize("text", CORPUS, ids=ascii)
def test_a_hard_text_is_shown_inert_and_comes_back(text):
    for argv in ([text], ["ls", text], [text, text]):
        shown = render(argv)
        assert unrender(shown) == argv
        assert all(map(is_inert, shown))
        assert all(shown), "no token is shown as nothing"


def test_no_two_hard_texts_look_the_same():
    assert len({tuple(render([text])) for text in set(CORPUS)}) == len(set(CORPUS))


TEXTS = st.lists(st.one_of(st.sampled_from(HARD), st.sampled_from(PHRASES), st.characters()), max_size=12).map("".join)
ARGVS = st.lists(TEXTS, max_size=5)


@settings(max_examples=500, deadline=None)
@given(ARGVS)
def test_every_argument_list_comes_back(argv):
    shown = render(argv)
    assert unrender(shown) == argv
    assert all(map(is_inert, shown))
    assert all(unicodedata.is_normalized("NFC", text) for text in shown)


@settings(max_examples=300, deadline=None)
@given(ARGVS, ARGVS)
def test_two_different_argument_lists_never_look_the_same(one, other):
    assert (render(one) == render(other)) == (one == other)


def test_ten_thousand_random_pairs_never_look_the_same():
    rolls = random.Random(7)
    seen: dict[tuple[str, ...], list[str]] = {}
    for _ in range(10_000):
        argv = ["".join(rolls.choices(HARD, k=rolls.randint(0, 4))) for _ in range(rolls.randint(1, 3))]
        assert seen.setdefault(tuple(render(argv)), argv) == argv


@settings(max_examples=300, deadline=None)
@given(TEXTS)
def test_the_parts_of_a_token_are_its_rendering(text):
    parts = render_token(text)
    assert ["".join(part.text for part in parts)] == render([text])
    for part in parts:
        assert part.text
        assert part.unusual == (OPEN in part.text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", "⟨empty⟩"),
        ("\u202e", "⟨U+202E RLO⟩"),
        ("a\u200bb", "a⟨U+200B ZWSP⟩b"),
        ("a    b", "a⟨U+0020 SPACE x4⟩b"),
        (" a", "⟨U+0020 SPACE⟩a"),
        ("a b  c", "a b  c"),
        ("\n", "⟨U+000A LF⟩"),
        ("\x1b", "⟨U+001B ESC⟩"),
        ("\x9b", "⟨U+009B C1 CONTROL⟩"),
        ("а", "⟨U+0430 CYRILLIC SMALL LETTER A⟩"),
        ("\ufe0f", "⟨U+FE0F VS16⟩"),
        ("\U000e0100", "⟨U+E0100 VS17⟩"),
        ("\U000e0041", "⟨U+E0041 TAG LATIN CAPITAL LETTER A⟩"),
        ("\ud800", "⟨U+D800 LONE SURROGATE⟩"),
        ("\U0010ffff", "⟨U+10FFFF⟩"),
        ("Grüße, café ễ", "Grüße, café ễ"),
        ("e\u0301", "e⟨U+0301 COMBINING ACUTE ACCENT⟩"),
        ("ı", "⟨U+0131 LATIN SMALL LETTER DOTLESS I⟩"),
        ("⟨U+0041⟩", "⟨U+27E8 MATHEMATICAL LEFT ANGLE BRACKET⟩U+0041⟨U+27E9 MATHEMATICAL RIGHT ANGLE BRACKET⟩"),
    ],
)
def test_examples_of_how_it_looks(text, shown):
    assert render([text]) == [shown]


@pytest.mark.parametrize(
    "shown", [["⟨U+0041⟩"], ["⟨U+0041 X⟩"], ["a   b"], ["\u202e"], [""], ["⟨empty"], ["⟨U+0020 SPACE x1⟩"]]
)
def test_a_text_that_is_no_rendering_is_refused(shown):
    with pytest.raises(ValueError):
        unrender(shown)


@pytest.mark.parametrize(
    ("argv", "found"),
    [
        (["git", "status"], []),
        (["kubectl", "delete", "namespace", "pay\u200bments"], ["Hidden character in argument 4: U+200B ZWSP"]),
        (["ls", "\u202e"], ["Hidden character in argument 2: U+202E RLO"]),
        (["ls", "а"], ["Unusual character in argument 2: U+0430 CYRILLIC SMALL LETTER A"]),
        (["ls", "\u3164"], ["Hidden character in argument 2: U+3164 HANGUL FILLER"]),
        (["ls", ""], ["Empty argument 2"]),
        (["ls", "a" + " " * 99 + "b"], ["Whitespace padding in argument 2"]),
        (["ls", "x" * 1001], ["Very long argument 2: 1001 characters"]),
        (["bash", "-c", "rm -rf /"], []),  # every program that it runs stands there
        (["/bin/sh", "-ec", "make && ls | wc -l"], []),
        (["bash", "-c", "rm -rf $HOME"], ["Shell script in argument 3: what it does cannot be inspected"]),
        (["bash", "-c", "eval x"], ["Shell script in argument 3: what it does cannot be inspected"]),
        (["bash", "-xc", "rm"], ["Shell script in argument 3: what it does cannot be inspected"]),
        (["zsh", "-c", "ls"], ["Shell script in argument 3: what it does cannot be inspected"]),
        (["/tmp/bash", "-c", "ls"], ["Shell script in argument 3: what it does cannot be inspected"]),
        (["./sh", "-c", "ls"], ["Shell script in argument 3: what it does cannot be inspected"]),
        (
            ["bash", "-c", "ls; python3 -c 'import os'"],
            ["Inside the line a program gets a text to execute: what that does cannot be inspected"],
        ),
        (
            ["bash", "-c", "ls; sh -c 'ls'"],
            ["Inside the line a program gets a text to execute: what that does cannot be inspected"],
        ),
        (
            ["sudo", "env", "A=1", "dash", "-x", "-c", "x"],
            ["Shell script in argument 7: what it does cannot be inspected"],
        ),
        (["sh", "deploy.sh"], []),
        (["python3.11", "-c", "x"], ["Program text for python3.11: what it does cannot be inspected"]),
        (["ls"] * 101, ["101 arguments: read to the end"]),
    ],
)
def test_warnings_name_what_a_reader_could_miss(argv, found):
    assert warnings(argv) == found


def test_variables_that_load_code_are_named():
    assert warnings(["ls"], dict.fromkeys(["HOME", "LD_PRELOAD", "GIT_SSH_COMMAND"], "x")) == [
        "Sets variables that change what is executed: GIT_SSH_COMMAND, LD_PRELOAD"
    ]


@pytest.mark.parametrize("path", ["/usr/local/bin:/usr/bin:/bin", "/home/ann/tmp/bin", "/opt/x..y", "/tmpfs/bin"])
def test_an_ordinary_search_path_is_no_warning(path):
    assert warnings(["ls"], {"PATH": path}) == []


@pytest.mark.parametrize(
    ("path", "entries"),
    [
        ("", "1"),
        (":/bin", "1"),
        ("/bin:", "2"),
        ("/usr/bin::/bin", "2"),
        ("/bin:.:bin:~/x", "2, 3, 4"),
        ("/bin:/tmp", "2"),
        ("/var/tmp/x:/bin", "1"),
        ("//dev/shm/", "1"),
        ("/./tmp/a", "1"),
        ("/usr/../tmp", "1"),
        (":::::", "1, 2, 3, …"),
    ],
)
def test_a_search_path_that_others_can_put_programs_into_is_named(path, entries):
    assert warnings(["ls"], {"PATH": path}) == [
        f"PATH looks for programs in folders that are relative or open to everybody: entry {entries}"
    ]


@settings(max_examples=200, deadline=None)
@given(ARGVS)
def test_warnings_are_inert_too(argv):
    assert all(is_inert(sentence) for sentence in warnings(argv))


@settings(max_examples=300, deadline=None)
@given(ARGVS)
def test_what_is_shown_in_a_field_reads_back_as_the_token(argv):
    assert [read_token(text) for text in render(argv)] == list(argv)


@pytest.mark.parametrize(
    "text", ["⟨", "⟩x", "⟨U+41⟩", "⟨U+0041", "⟨empty⟩x", "⟨U+0041 x70000⟩", "⟨U+0041 x9999999999999⟩", "⟨U+0041 x40000⟩" * 2,
             "⟨U+FFFFFF⟩", "⟨U+110000⟩"]
)  # fmt: skip
def test_what_names_no_character_is_no_token(text):
    with pytest.raises(ValueError):
        read_token(text)


def test_what_somebody_types_means_itself():
    assert read_token("а b\u202e") == "а b\u202e"
    assert render([read_token("x\u202e")]) == ["x⟨U+202E RLO⟩"]
