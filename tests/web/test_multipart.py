"""Forms with files, part for part: what browsers write is read, everything else is refused and nothing breaks."""

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from failgate.web.multipart import FormReader, Malformed, boundary_in

B = b"----WebKitFormBoundary7MA4YWxkTrZu0gW"
FIELD = b'Content-Disposition: form-data; name="title"\r\n\r\n'
FILE = b'Content-Disposition: form-data; name="files"; filename="a.txt"\r\nContent-Type: text/plain\r\n\r\n'


def body(*parts):
    return b"".join(b"--" + B + b"\r\n" + part + b"\r\n" for part in parts) + b"--" + B + b"--\r\n"


def read(whole, boundary=B, step=1 << 16):
    parts = []
    reader = FormReader(boundary, parts.append)
    for at in range(0, len(whole), step):
        reader.read(whole[at : at + step])
    reader.finish()
    return [(part.name, part.filename, part.content) for part in parts]


def test_fields_and_files_are_read_as_a_browser_writes_them():
    assert read(body(FIELD + b"one\r\ntwo", FILE + b"\x00\xff\r\n--x", FILE)) == [
        ("title", None, b"one\r\ntwo"), ("files", "a.txt", b"\x00\xff\r\n--x"), ("files", "a.txt", b""),
    ]  # fmt: skip
    assert read(b"--" + B + b"--\r\n") == []


@pytest.mark.parametrize(
    ("written", "meant"),
    [("a%22b.txt", 'a"b.txt'), ("a%0D%0Ab", "a\r\nb"), ("..\\..\\x", "..\\..\\x"), ("\u202etxt.exe", "\u202etxt.exe")],
)
def test_names_are_what_the_sender_calls_them(written, meant):
    part = f'Content-Disposition: form-data; name="f"; filename="{written}"\r\n\r\nx'.encode()
    assert read(body(part)) == [("f", meant, b"x")]


@pytest.mark.parametrize(
    "whole",
    [
        b"",
        b"--",
        b"--" + B,
        b"--" + B + b"\r\n",
        body(FIELD + b"x")[:-4],
        body(FIELD + b"x")[:-40],
        b"preamble\r\n" + body(FIELD + b"x"),
        body(b"\r\nx"),
        body(b"Content-Type: text/plain\r\n\r\nx"),
        body(b"Content-Disposition: form-data; name=\"a\"; filename*=UTF-8''x\r\n\r\nx"),
        body(b'Content-Disposition: attachment; name="a"\r\n\r\nx'),
        body(b"Content-Disposition: form-data; name=a\r\n\r\nx"),
        body(FIELD[:-2] + FIELD + b"x"),
        body(b'Content-Disposition: form-data; name="\xff"\r\n\r\nx'),
        body(b"X: " + b"a" * 5000 + b"\r\n" + FIELD + b"x"),
        body(b"no header\r\n" + FIELD + b"x"),
        body(FIELD + b"x").replace(b"\r\n", b"\n"),
    ],
)
def test_what_no_browser_writes_is_malformed(whole):
    with pytest.raises(Malformed):
        read(whole)


@pytest.mark.parametrize(
    "kind",
    [
        "multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; boundary=a b",
        "multipart/form-data; boundary=" + "a" * 71, 'multipart/form-data; boundary="a', "multipart/mixed; boundary=a",
        "multipart/form-data; charset=x; boundary=a",
    ],
)  # fmt: skip
def test_a_boundary_that_is_none_is_malformed(kind):
    with pytest.raises(Malformed):
        boundary_in(kind)


NAMES = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters='"\r\n\\%'), min_size=1, max_size=40)


@given(
    st.lists(st.tuples(NAMES, st.binary(max_size=300)), min_size=1, max_size=6),
    st.text(max_size=100),
    st.integers(1, 99),
)
def test_what_a_client_writes_is_read_back(files, text, step):
    text = text.encode("utf-8", "replace").decode()
    sent = httpx.Request(
        "POST", "http://x/", data={"text": text}, files=[("files", (name, content)) for name, content in files]
    )
    assert read(sent.read(), boundary_in(sent.headers["content-type"]), step) == [
        ("text", None, text.encode()), *(("files", name, content) for name, content in files)
    ]  # fmt: skip


@given(st.binary(max_size=400), st.integers(0, 400))
def test_any_bytes_are_read_or_malformed(noise, cut):
    whole = body(FIELD + b"x", FILE + b"y")
    for mangled in (noise, b"--" + B + b"\r\n" + noise, whole[:cut] + noise + whole[cut:], whole[:cut]):
        try:
            parts = read(mangled)
        except Malformed:
            continue
        assert sum(len(content) for _, _, content in parts) < len(mangled)
