"""The HTTP client against servers that misbehave, byte by byte. E12: it fails closed."""

import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from failgate.client.address import parse_address
from failgate.client.answer import Lost, Strange
from failgate.client.exits import NotConfigured, Refused
from failgate.client.http import Api
from failgate.client.settings import Settings

Serve = Callable[..., Api]


@pytest.fixture
def answering() -> Iterator[Serve]:
    open_: list[tuple[socket.socket, threading.Thread]] = []
    apis: list[Api] = []

    def serve(*answers: bytes) -> Api:
        listener = socket.create_server(("127.0.0.1", 0))

        def work() -> None:
            for answer in answers:
                try:
                    link, _ = listener.accept()
                except OSError:
                    return
                with link:
                    link.settimeout(5)
                    received = b""
                    while b"\r\n\r\n" not in received:
                        received += link.recv(4096)
                    step = max(5, len(answer) // 2000)
                    try:
                        for at in range(0, len(answer), step):
                            link.sendall(answer[at : at + step])
                    except OSError:
                        continue  # the client had enough

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        open_.append((listener, thread))
        port = listener.getsockname()[1]
        apis.append(Api(Settings(f"http://127.0.0.1:{port}/base/", "demo", "fg_x", "/nowhere", "never", (), False)))
        return apis[-1]

    yield serve
    for api in apis:
        api.close()
    for listener, thread in open_:
        listener.close()
        thread.join(5)


OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


def test_lengths_chunks_and_ends_of_connections_frame_a_body(answering: Serve) -> None:
    assert answering(OK + b'Content-Length: 8\r\n\r\n{"a": 1}').call("GET", "/x").content == {"a": 1}
    assert answering(OK + b'Transfer-Encoding: chunked\r\n\r\n4;x=y\r\n{"a"\r\n4\r\n: 1}\r\n0\r\nT: 1\r\n\r\n').call(
        "GET", "/x"
    ).content == {"a": 1}
    assert answering(b"HTTP/1.1 103 Early\r\n\r\n" + OK + b'\r\n{"a": 1}').call("GET", "/x").content == {"a": 1}


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        OK + b"Content-Length: -5\r\n\r\n",
        OK + b"Content-Length: 99999999999\r\n\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\nfffffffff\r\n",
        OK + b"Content-Length: 2\r\n\r\n[]",
        OK + b"Content-Length: 2\r\n\r\n{[",
        b"HTTP/1.1 302 Found\r\nLocation: http://evil.example/\r\nContent-Length: 0\r\n\r\n",
    ],
)
def test_what_is_not_our_server_is_strange(answering: Serve, answer: bytes) -> None:
    with pytest.raises(Strange):
        answering(answer).call("GET", "/x")


def test_a_deep_body_is_strange_and_no_crash(answering: Serve) -> None:
    body = b"[" * 200_000
    with pytest.raises(Strange):
        answering(OK + b"Content-Length: 200000\r\n\r\n" + body).call("GET", "/x")


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nConte",
        OK + b'Content-Length: 20\r\n\r\n{"a"',
        b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 4\r\n\r\noops",
    ],
)
def test_what_breaks_off_is_lost(answering: Serve, answer: bytes) -> None:
    with pytest.raises(Lost):
        answering(answer).call("GET", "/x")


def test_a_head_without_end_is_refused(answering: Serve) -> None:
    with pytest.raises((Strange, Lost)):
        answering(b"HTTP/1.1 200 OK\r\n" + b"x: " + b"y" * 70_000).call("GET", "/x")


def test_a_problem_document_becomes_its_sentence_without_control_characters(answering: Serve) -> None:
    body = b'{"type": "urn:failgate:error:too-large", "detail": "Too \\u001b[2Jlarge.", "hint": "Less.", "limit": 5}'
    with pytest.raises(Refused) as caught:
        answering(b"HTTP/1.1 413 X\r\nContent-Length: %d\r\n\r\n" % len(body) + body).call("POST", "/x", {})
    assert (caught.value.answered, caught.value.problem, caught.value.members["limit"]) == (413, "too-large", 5)
    assert str(caught.value) == "Too <U+001B>[2Jlarge. Less."


def test_a_kept_connection_that_died_is_opened_again(answering: Serve) -> None:
    good = OK + b'Content-Length: 8\r\n\r\n{"a": 1}'
    api = answering(good, good)
    assert api.call("GET", "/x").content == api.call("GET", "/x").content == {"a": 1}


@pytest.mark.parametrize(
    "url",
    [
        "failgate.example",
        "ftp://x",
        "http://",
        "http://u:p@h",
        "http://h?x=1",
        "http://h#f",
        "http://h:0",
        "http://h:99999",
        "http://h:x",
        "http://h\n",
        "http://ü",
    ],
)
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(NotConfigured):
        parse_address(url)


@pytest.mark.parametrize(
    ("url", "text", "is_loopback"),
    [
        ("https://Failgate.Example/", "https://failgate.example", False),
        ("http://127.0.0.1:8440", "http://127.0.0.1:8440", True),
        ("http://[::1]:8440/base/", "http://[::1]:8440/base", True),
        ("http://127.evil.example", "http://127.evil.example", False),
    ],
)
def test_an_address_is_taken_apart(url: str, text: str, is_loopback: bool) -> None:
    address = parse_address(url)
    assert (str(address), address.is_loopback) == (text, is_loopback)
