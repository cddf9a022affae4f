"""From bytes to a tree in which no two readers see two documents."""

import base64
import zlib

import pytest

from failgate.sso.protocol import Refusal
from failgate.sso.saml.refusals import Reason
from failgate.sso.saml.tree import MAX_BYTES, decode_post, decode_redirect, parse


def reason(document: bytes) -> str:
    with pytest.raises(Refusal) as caught:
        parse(document)
    return caught.value.reason


def deflated(content: bytes) -> str:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return base64.b64encode(packer.compress(content) + packer.flush()).decode()


@pytest.mark.parametrize(
    "document",
    [
        b"<a/>",
        b'<?xml version="1.0"?><a/>',
        b"<?xml version='1.0' encoding='UTF-8' standalone='no' ?>\n<a/>",
        b'\xef\xbb\xbf<?xml version="1.0" encoding="utf-8"?><a/>',
        b"<a>&lt;!-- &amp; &#13;&#xD;&#228;&#34; --&gt;</a>",
        "<a>ä</a>".encode(),
        b'<a ID="1"><b Id="2"/></a>',
    ],
)
def test_plain_documents_are_read(document: bytes) -> None:
    assert parse(document).tag == "a"


@pytest.mark.parametrize(
    ("document", "word"),
    [
        (b"<!DOCTYPE a><a/>", Reason.MARKUP),
        (b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY e "x">]><a>&e;</a>', Reason.MARKUP),
        (b"<a><!-- x --></a>", Reason.MARKUP),
        (b"<a><![CDATA[x]]></a>", Reason.MARKUP),
        (b"<a><?x y?></a>", Reason.MARKUP),
        (b"<a/><?x y?>", Reason.MARKUP),
        (b'<?xml version="1.0" encoding="UTF-7"?><a/>', Reason.MARKUP),
        (b'<?xml version="1.0" encoding="ISO-8859-1"?><a/>', Reason.MARKUP),
        (b'<?xml version="1.1"?><a/>', Reason.MARKUP),
        (b"<a>&#97;</a>", Reason.MARKUP),
        (b"<a>&#x61;</a>", Reason.MARKUP),
        (b"<a>&#x00000000000000000061;</a>", Reason.MARKUP),
        (b"<a>&#" + b"0" * 5000 + b"97;</a>", Reason.MARKUP),
        (b"<a>&e;</a>", Reason.MALFORMED),
        (b"<a>&#0;</a>", Reason.MALFORMED),
        (b"<a>&#x110000;</a>", Reason.MALFORMED),
        (b"<a>" + b"<b>" * 300 + b"</b>" * 300 + b"</a>", Reason.MALFORMED),
        (b"<a/><b/>", Reason.MALFORMED),
        (b"", Reason.MALFORMED),
        (b"\x00", Reason.ENCODING),
        (b"<a x='\xe4'/>", Reason.ENCODING),
        ("<a/>".encode("utf-16"), Reason.ENCODING),
        # Without a mark at its beginning each of these is UTF-8 too, and the parser reads it as what it is.
        ('<?xml version="1.0"?><a>x<!-- y --></a>'.encode("utf-16-le"), Reason.ENCODING),
        ('<?xml version="1.0"?><a>x<![CDATA[y]]></a>'.encode("utf-16-be"), Reason.ENCODING),
        ("<a>x<?y z?></a>".encode("utf-32-le"), Reason.ENCODING),
        ("<a>x<!-- y --></a>".encode("utf-32-be"), Reason.ENCODING),
        (b"<a>" + b" " * MAX_BYTES + b"</a>", Reason.TOO_LARGE),
        (b'<a ID="1"><b ID="1"/></a>', Reason.IDS),
        (b'<a ID="1"><b id="1"/></a>', Reason.IDS),
        (b'<a ID="1"><b xmlns:x="urn:x" x:Id="1"/></a>', Reason.IDS),
        (b'<a ID="1"><b xml:id="_2"/></a>', Reason.IDS),
        (b'<a ID=""/>', Reason.IDS),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_readers_could_disagree_on_is_refused(document: bytes, word: Reason) -> None:
    assert reason(document) == word


@pytest.mark.parametrize("text", ["A", "=", "AAA=A", "AA\u00c4=", "A-_A"])
def test_base64_is_strict(text: str) -> None:
    with pytest.raises(Refusal) as caught:
        decode_post(text)
    assert caught.value.reason == Reason.ENCODING


def test_a_redirect_is_inflated_to_256_kib_at_most() -> None:
    assert decode_redirect(deflated(b"<a/>")) == b"<a/>"
    assert len(decode_redirect(deflated(b" " * MAX_BYTES))) == MAX_BYTES
    for text, word in (
        (deflated(b" " * (MAX_BYTES + 1)), Reason.TOO_LARGE),
        (deflated(b" " * 200_000_000), Reason.TOO_LARGE),
        (base64.b64encode(base64.b64decode(deflated(b"<a/>")) + b"more").decode(), Reason.ENCODING),
        (base64.b64encode(base64.b64decode(deflated(b"<a/>" * 50))[:-4]).decode(), Reason.ENCODING),
        (base64.b64encode(zlib.compress(b"<a/>")).decode(), Reason.ENCODING),
    ):
        with pytest.raises(Refusal) as caught:
            decode_redirect(text)
        assert caught.value.reason == word
