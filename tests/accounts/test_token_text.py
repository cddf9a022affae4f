import re

from failgate.accounts.token_text import TOKEN_CHARACTERS, token_id_of, write_token
from failgate.base.ids import new_id


def test_a_token_names_its_row_and_has_a_secret_of_256_bits() -> None:
    # E19 E25
    token_id = new_id()
    text = write_token("usr", token_id)
    assert re.fullmatch(r"fg_usr_[0-9A-Za-z]{22}_[0-9A-Za-z]{43}_[0-9A-Za-z]{6}", text)
    assert len(text) == TOKEN_CHARACTERS
    assert token_id_of(text) == token_id
    assert write_token("usr", token_id) != text


def test_one_changed_character_spoils_the_checksum() -> None:
    text = write_token("agt", new_id())
    for place in range(len(text)):
        other = "A" if text[place] != "A" else "B"
        assert token_id_of(text[:place] + other + text[place + 1 :]) is None


def test_what_is_not_written_like_a_token_names_nothing() -> None:
    text = write_token("agt", new_id())
    for other in (
        "",
        text + "\n",
        " " + text,
        text[:-1],
        text.upper(),
        text.replace("fg_agt", "fg_xyz"),
        "fg_agt_" + "z" * 22 + text[29:],
    ):
        assert token_id_of(other) is None


def test_a_token_of_one_kind_is_not_one_of_another() -> None:
    identifier = new_id()
    for kind in ("usr", "agt", "ref", "scim", "inv", "rst", "shr"):
        text = write_token(kind, identifier)
        assert text.startswith(f"fg_{kind}_")
        assert token_id_of(text) == token_id_of(text, kind) == identifier
        assert token_id_of(text, "usr" if kind != "usr" else "agt") is None
