"""Rendered by CommonMark with HTML on, a reporter's text is text: the same text, and nothing else."""

import re
from pathlib import Path

import msgspec
import pytest
from failgate_disclosure.advisory import Advisory, markdown
from failgate_disclosure.advisory.markdown import escaped_line, escaped_text
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

GOLDEN = Path(__file__).parent / "fg-2026-0001.md"
RENDERER = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
INERT = {"paragraph_open", "paragraph_close", "inline", "text", "text_special", "softbreak", "hardbreak"}


def flat(tokens: list[Token]) -> list[Token]:
    return [token for outer in tokens for token in (outer, *(outer.children or ()))]


def shown(tokens: list[Token]) -> list[str]:
    """Return the lines that a reader sees, one empty between paragraphs."""
    told = ""
    for token in flat(tokens):
        if token.type in {"text", "text_special", "code_inline"}:
            told += token.content
        elif token.type in {"softbreak", "hardbreak"}:
            told += "\n"
        elif token.type == "paragraph_open" and told:
            told += "\n\n"
    return told.split("\n")


ATTACKS = [
    "<script>alert(1)</script>",
    "[click](javascript:alert(1))",
    "![x](https://a.example/beacon.png)",
    "<https://a.example>",
    "    code\n\tcode",
    "a  \nb",
    "a\\\nb",
    "title\n===\ntitle\n---",
    "```\ncode\n```",
    "~~~\ncode",
    "[x]: https://a.example\n[x]",
    "| a | b |\n|---|---|\n| 1 | 2 |",
    "a | b\n- | -\n1 | 2",
    "- one\n- two\n+ three\n* four\n1. five\n2) six",
    "> quoted",
    "# heading #",
    "&lt;b&gt; &#60;b&#62; &amp;amp;",
    "<!-- hidden -->",
    "<![CDATA[x]]>",
    "<?php ?>",
    "*a* _b_ **c** __d__ ~~e~~",
    "\u00a0\u3000indented\u00a0",
    "a\n \u00a0\nb",
    "\\<b>\\",
    "{{ 7*7 }} {% include x %} ${7*7} $$x$$",
]


@pytest.mark.parametrize("text", ATTACKS)
def test_an_attack_is_shown_as_it_was_written(text: str) -> None:
    check(text)


@given(data=st.data())
@settings(max_examples=600, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_text_is_shown_as_it_was_written(data: st.DataObject, texts: st.SearchStrategy[str]) -> None:
    check(data.draw(texts))


def check(text: str) -> None:
    tokens = RENDERER.parse(escaped_text(text))
    assert {token.type for token in flat(tokens)} <= INERT
    wanted = [line if line.strip(" \t") else "" for line in text.split("\n")]
    # Several empty lines are one, and none stands at the ends.
    assert "\n".join(shown(tokens)) == re.sub("\n{3,}", "\n\n", "\n".join(wanted)).strip("\n")


@given(data=st.data())
@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_line_stays_one_line_of_text_after_a_heading_and_an_item(
    data: st.DataObject, lines: st.SearchStrategy[str]
) -> None:
    line = data.draw(lines)
    for before, wrapped in (
        ("# ", {"heading_open", "heading_close"}),
        ("- ", {"bullet_list_open", "bullet_list_close"}),
    ):
        tokens = flat(RENDERER.parse(before + escaped_line(line)))
        wrapped |= {"list_item_open", "list_item_close"}
        assert {token.type for token in tokens} <= INERT | wrapped
        assert "".join(token.content for token in tokens if token.type in {"text", "text_special"}) == line


@given(data=st.data())
@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
def test_an_advisory_has_our_headings_and_our_links_alone(
    data: st.DataObject, any_advisory: st.SearchStrategy[Advisory]
) -> None:
    advisory = data.draw(any_advisory)
    page = markdown(advisory)
    tokens = flat(RENDERER.parse(page))
    kinds = {token.type for token in tokens}
    assert not kinds & {
        "html_inline",
        "html_block",
        "image",
        "code_block",
        "fence",
        "table_open",
        "em_open",
        "s_open",
        "hr",
    }
    ours = {advisory.publisher.namespace, *(each.url for each in advisory.references)}
    ours |= {each.url for each in (*advisory.credits, *advisory.remediations) if each.url is not None}
    assert {token.attrs["href"] for token in tokens if token.type == "link_open"} == ours
    headings = [token for token in tokens if token.type == "heading_open"]
    assert [token.tag for token in headings].count("h1") == 1
    named = {"Summary", "Affected and fixed versions", "Description", "What to do"}
    named |= {"References", "Credits", "Timeline", "Revisions"}
    inline = [
        tokens[place + 1].content
        for place, token in enumerate(tokens)
        if token.type == "heading_open" and token.tag == "h2"
    ]
    assert set(inline) <= named
    assert len(inline) == len(set(inline))
    again = msgspec.json.decode(msgspec.json.encode(advisory), type=Advisory)
    assert markdown(again) == page


def test_the_page_is_the_golden_one(whole: Advisory) -> None:
    assert markdown(whole) == GOLDEN.read_text()


@example("www.a.example http://a.example ftp://a.example mailto:a@b.example")
@given(st.text("htps:/w.W@ae", max_size=30))
def test_no_bare_address_stands_in_the_source(text: str) -> None:
    """GitHub's Markdown makes links of these where it finds them in the source."""
    if text.strip():
        assert not re.search(r"(?i)[a-z]://|www\.|[^\\]@|mailto:", escaped_text(text))
