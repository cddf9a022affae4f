"""What may never stand in a log line. # E18"""

import asyncio
import errno
import io
import json
import logging
import re
import sys
import threading
import warnings
from itertools import chain

import pytest
import structlog

from failgate.base.log import FixedLine, RequestContext, get_logger, log_crashes, masked, request_context, start_logging
from failgate.base.secret import Secret
from failgate.redaction import RULES, Scanner, redact

TOKEN = "fg_usr_0190a1b2c3d4_Zm9vYmFyYmF6cXV4Zm9vYmFyYmF6cXV4_k3x"
TAG = re.compile(r"\[redacted:[a-z-]+:[0-9a-f]{8}\]")


@pytest.fixture
def raw_log():
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    stream = io.StringIO()
    start_logging(level="debug", stream=stream)
    yield stream.getvalue
    root.handlers[:] = before
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.fixture
def lines(raw_log):
    return lambda: [json.loads(line) for line in raw_log().splitlines()]


def test_a_line_is_one_json_object_with_event_level_time_and_room(lines):
    get_logger("failgate.tests").info("door.opened", count=3)
    [line] = lines()
    assert line["event"] == "door.opened"
    assert line["level"] == "info"
    assert line["room"] == "failgate.tests"
    assert line["timestamp"].endswith("Z")
    assert line["count"] == 3


@pytest.mark.parametrize(
    "text",
    [
        f"token {TOKEN} came",
        "Bearer q7Xk2Lm9Zt4Vb8Rn3Wc6",
        "jwt eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl end",
        "postgresql://someone:hunter2secret@db/failgate",
        "GET /setup?token=kJ8s7d6f5g4h3j2k1l0 HTTP/1.1",
        "GET /signin?next=/w/acme/queue&token=q7Xk2Lm9Zt4Vb8Rn3Wc6",
    ],
)
def test_what_looks_like_a_credential_is_replaced_by_a_tag(text):
    shown = masked(text)
    assert TAG.search(shown)
    for secret in (TOKEN, "q7Xk2Lm9Zt4Vb8Rn3Wc6", "c2lnbmF0dXJl", "hunter2secret", "kJ8s7d6f5g4h3j2k1l0"):
        assert secret not in shown


def test_plain_words_are_left_alone():
    text = "the gate answered /w/acme/queue with 200 at http://127.0.0.1:8440/"
    assert masked(text) == text


def test_a_secret_deep_inside_is_masked_and_so_are_keys_that_hold_one():
    shown = masked({"a": [{"b": Secret("hunter2")}], "Authorization": "x", "cookie": "y", "password": "z", "n": 1})
    text = json.dumps(shown)
    assert "hunter2" not in text
    assert shown["Authorization"] == shown["cookie"] == shown["password"] == "********"
    assert shown["n"] == 1


def test_a_traceback_does_not_carry_a_token_and_shows_no_local_variables(lines):
    try:
        hidden = "a-local-value"
        raise ValueError(f"bad token {TOKEN} {len(hidden)}")
    except ValueError:
        get_logger("failgate.tests").exception("request.failed")
    [line] = lines()
    assert "ValueError" in line["exception"]
    assert TOKEN not in json.dumps(line)
    assert "a-local-value" not in line["exception"]
    assert "locals" not in line


def test_lines_of_other_libraries_are_folded_in_and_masked(lines):
    logging.getLogger("some.library").warning("saw %s", TOKEN)
    [line] = lines()
    assert TAG.sub("TAG", line["event"]) == "saw TAG"
    assert line["logger"] == "some.library"


def test_control_characters_stay_inside_one_line(lines):
    get_logger("failgate.tests").info("door.opened", name="a\r\nb\x1b[31m\u2028c")
    assert len(lines()) == 1


BREAKS = (
    "\r",
    "\n",
    "\r\n",
    "\x1b[2J",
    "\x1b]0;x\x07",
    "\u2028",
    "\u2029",
    "\x85",
    "\x0b",
    "\x0c",
    "\x00",
    '"}\n{"event":"forged"',
)


def test_forty_fields_with_line_ends_and_escapes_are_one_line_an_event(lines):
    """CR, LF and ESC as values, as names, nested, in the event and in lines of other libraries."""
    values = [f"a{BREAKS[number % len(BREAKS)]}b" for number in range(40)]
    get_logger("failgate.tests").info(
        "door.opened", **{f"field_{number}": value for number, value in enumerate(values)}
    )
    get_logger("failgate.tests").info("door.opened", **{f"x{value}": [value, {value: value}] for value in values})
    logging.getLogger("some.library").warning("saw %s", "".join(values))
    stream = lines()
    assert len(stream) == 3
    assert [stream[0][f"field_{number}"] for number in range(40)] == values
    assert not any(line["event"] == "forged" for line in stream)


def test_nothing_that_moves_a_cursor_is_written_as_it_is(raw_log):
    get_logger("failgate.tests").info("door.opened", name="".join(BREAKS))
    assert len(raw_log().splitlines()) == 1
    assert raw_log().isascii()
    assert not any(character in raw_log()[:-1] for character in "\r\n\x1b\x00\x07")


def test_the_request_id_stands_in_each_line_of_its_request(lines):
    token = request_context.set(RequestContext("r-1", "127.0.0.1"))
    try:
        get_logger("failgate.tests").info("door.opened")
        logging.getLogger("some.library").warning("word")
    finally:
        request_context.reset(token)
    get_logger("failgate.tests").info("door.closed")
    assert [line.get("request_id") for line in lines()] == ["r-1", "r-1", None]


def test_uvicorns_own_chatter_is_quiet(lines):
    logging.getLogger("uvicorn.error").info("Started server process")
    logging.getLogger("uvicorn.access").info('127.0.0.1 - "GET /signin?token=x HTTP/1.1" 200')
    assert lines() == []


def test_the_console_form_is_masked_too(lines):
    stream = io.StringIO()
    start_logging("console", stream=stream)
    get_logger("failgate.tests").info("door.opened", note=TOKEN)
    assert "door.opened" in stream.getvalue()
    assert TOKEN not in stream.getvalue()


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_a_traceback_shows_no_local_variable(log_format):
    """E18: a local may be a password; `rich`, where it is installed, would print every one."""
    out = io.StringIO()
    start_logging(log_format, stream=out)
    kept = "plain-local-value"
    try:
        raise ValueError(len(kept))
    except ValueError:
        get_logger("test").exception("thing.failed")
    assert "ValueError" in out.getvalue()
    assert kept not in out.getvalue()


def test_every_rule_of_redaction_holds_for_a_line(lines):
    """F14: what is a secret in a report is one in the log, in a name of a fact too, and in what other libraries say."""
    texts = [rule.matches[0] for rule in RULES]
    scanner = Scanner()
    for text in texts:
        get_logger("failgate.tests").warning("thing.refused", reason=text, nested={text: [text]})
        logging.getLogger("some.library").warning("%s", text)
    for text, (ours, theirs) in zip(texts, zip(lines()[::2], lines()[1::2], strict=True), strict=True):
        secrets = {text[one.start : one.end] for one in redact(text, scanner).findings}
        assert secrets
        for secret in secrets:
            for said in (ours["reason"], *ours["nested"], *chain(*ours["nested"].values()), theirs["event"]):
                assert secret not in said, text


def test_what_the_program_fixed_is_not_searched(lines, monkeypatch):
    """The line of a request costs what it did: doors, ids and numbers hold nothing of anybody."""
    searched = []
    monkeypatch.setattr("failgate.base.log.without_secrets", lambda text: searched.append(text) or text)
    get_logger("failgate.tests").info("request.answered", door="commands.read", path="/x", status=200, ip="192.0.2.1")
    get_logger("failgate.tests").info("gate.rebuilt", pending=3)
    assert searched == []
    get_logger("failgate.tests").info("gate.refused", reason="words")
    logging.getLogger("some.library").warning("more words")
    assert searched == ["words", "more words"]
    assert len(lines()) == 4


def test_what_a_thread_and_a_warning_say_is_a_line_without_secrets(lines, monkeypatch):
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
    log_crashes()
    try:

        def crash():
            raise ValueError(TOKEN)

        thread = threading.Thread(target=crash)
        thread.start()
        thread.join()
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.warn(TOKEN, stacklevel=1)
    finally:
        logging.captureWarnings(capture=False)
    text = json.dumps(lines())
    assert {line["event"] for line in lines()} >= {"thread.crashed"}
    assert "UserWarning" in text
    assert "ValueError" in text
    assert TOKEN not in text


class Full(io.StringIO):
    """A stream whose disk may be full."""

    is_full = False

    def write(self, line: str) -> int:
        if self.is_full:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(line)


def test_a_line_that_is_not_taken_stops_nobody_and_is_counted():
    """The file of the log stands on a full disk, or who read it is gone."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    stream = Full()
    start_logging(stream=stream)
    try:
        get_logger("failgate.tests").info("door.opened")
        stream.is_full = True
        get_logger("failgate.tests").info("door.closed")
        logging.getLogger("failgate.tests").error("as a library says it")
        stream.is_full = False
        get_logger("failgate.tests").info("door.opened")
        said = [json.loads(line) for line in stream.getvalue().splitlines()]
        assert [line["event"] for line in said] == ["door.opened", "log.interrupted", "door.opened"]
        assert said[1]["lines_lost"] == 2
        stream.close()
        get_logger("failgate.tests").info("door.opened")
    finally:
        root.handlers[:] = before
        root.setLevel(level)
        structlog.reset_defaults()


@pytest.mark.parametrize("log_format", ["json", "console"])
@pytest.mark.parametrize("level", ["info", "warning"])
@pytest.mark.parametrize("context", [None, RequestContext("0197f0c2-0000-7000-8000-000000000001", "192.0.2.1")])
def test_a_fixed_line_is_what_the_logger_would_write(raw_log, log_format, level, context):
    facts = {"door": "commands.read", "path": None, "status": 200, "duration_ms": 0.25, "ip": "\u00e9"}
    stream = io.StringIO()
    start_logging(log_format, level=level, stream=stream)
    token = request_context.set(context)
    try:
        FixedLine("failgate.tests", "request.answered").write(**facts)
        get_logger("failgate.tests").info("request.answered", **facts)
    finally:
        request_context.reset(token)
    ours, theirs = (re.sub(r"[-0-9]+T[0-9:.]+Z", "TIME", line) for line in stream.getvalue().splitlines() or ["", ""])
    assert ours == theirs
    assert bool(ours) == (level == "info")
    assert raw_log() == ""


class Counted(Full):
    """A stream that counts how often it was given over to the system."""

    flushed = 0

    def flush(self) -> None:
        self.flushed += 1
        super().flush()


async def test_lines_of_one_turn_of_the_loop_go_together_in_their_order_and_none_is_lost(raw_log):
    """A server answers many requests in one turn, and writes a line for each."""
    stream = Counted()
    start_logging(stream=stream)
    line, logger = FixedLine("failgate.tests", "request.answered"), get_logger("failgate.tests")
    for status in (200, 201):
        line.write(status=status)
    assert stream.getvalue() == ""
    logger.info("door.opened")  # whatever else is said comes behind them, at once
    line.write(status=404)
    await asyncio.sleep(0)
    assert stream.flushed == 2
    stream.is_full = True
    line.write(status=500)
    line.write(status=501)
    await asyncio.sleep(0)
    stream.is_full = False
    line.write(status=503)
    await asyncio.sleep(0)
    said = [json.loads(one) for one in stream.getvalue().splitlines()]
    assert [one.get("status", one["event"]) for one in said] == [200, 201, "door.opened", 404, "log.interrupted", 503]
    assert said[4]["lines_lost"] == 2
    assert raw_log() == ""


def test_a_thread_writes_its_own_line_at_once(raw_log):
    thread = threading.Thread(target=FixedLine("failgate.tests", "request.answered").write, kwargs={"status": 200})
    thread.start()
    thread.join()
    assert json.loads(raw_log())["status"] == 200
