"""Error lines and top frames of real outputs. B5."""

import pytest

from failgate.reports.excerpt import END_BYTES, START_BYTES, Excerpt, Excerpting, excerpt_of

PYTHON = """Traceback (most recent call last):
  File "/home/dev/till/main.py", line 12, in <module>
    main()
  File "/home/dev/till/till.py", line 40, in total
    return json.loads(text)
  File "/usr/lib/python3.11/json/__init__.py", line 346, in loads
    return _default_decoder.decode(s)
json.decoder.JSONDecodeError: Expecting value: line 1 column 1 (char 0)
"""
PYTEST = """============================= test session starts ==============================
collected 3 items

tests/test_till.py .F.                                                   [100%]

=================================== FAILURES ===================================
__________________________________ test_total __________________________________

    def test_total():
>       assert total([1, 2]) == 4
E       assert 3 == 4
E        +  where 3 = total([1, 2])

tests/test_till.py:7: AssertionError
=========================== short test summary info ============================
FAILED tests/test_till.py::test_total - assert 3 == 4
========================= 1 failed, 2 passed in 0.12s ==========================
"""
NODE = """/src/app/pay.js:14
    throw new TypeError("no account")
    ^

TypeError: no account
    at charge (/src/app/pay.js:14:11)
    at Object.<anonymous> (/src/app/index.js:3:1)
    at Module._compile (node:internal/modules/cjs/loader:1256:14)

Node.js v18.17.0
"""
GO = """panic: runtime error: index out of range [3] with length 3

goroutine 1 [running]:
main.total(...)
\t/src/till/till.go:9
main.main()
\t/src/till/main.go:5 +0x1d
exit status 2
"""
JAVA = """Exception in thread "main" java.lang.RuntimeException: cannot pay
\tat com.example.Till.pay(Till.java:21)
\tat com.example.Main.main(Main.java:5)
Caused by: java.lang.NullPointerException: account
\tat java.base/java.util.Objects.requireNonNull(Objects.java:233)
\tat com.example.Account.find(Account.java:8)
\t... 2 more
"""
RUST = """   Compiling till v0.1.0 (/src/till)
error[E0308]: mismatched types
 --> src/main.rs:4:5
error: could not compile `till` (bin "till") due to previous error
"""
GCC = """cc -c till.c
till.c:4:10: error: expected ';' before 'return'
make: *** [Makefile:2: till.o] Error 1
"""


@pytest.mark.parametrize(
    ("output", "error", "frame"),
    [
        (PYTHON, "json.decoder.JSONDecodeError: Expecting value: line 1 column 1 (char 0)", "__init__.py loads"),
        (PYTEST, "assert 3 == 4", "test_till.py AssertionError"),
        (NODE, "TypeError: no account", "pay.js"),
        (GO, "panic: runtime error: index out of range [3] with length 3", "main.go"),
        (JAVA, "Caused by: java.lang.NullPointerException: account", "Objects.java"),
        (RUST, 'error: could not compile `till` (bin "till") due to previous error', "main.rs"),
        (GCC, "till.c:4:10: error: expected ';' before 'return'", "till.c"),
        ("--- FAIL: TestTotal (0.00s)\nok\n", "--- FAIL: TestTotal (0.00s)", ""),
        ("npm ERR! missing script: tset\n", "npm ERR! missing script: tset", ""),
        ("something\nlast words\n\n", "last words", ""),
        ("\x1b[31mValueError: red\x1b[0m\n", "ValueError: red", ""),
        ("", "", ""),
    ],
)
def test_the_error_and_the_frame_are_found(output: str, error: str, frame: str):
    found = excerpt_of(output.encode())
    assert (found.error, found.frame) == (error, frame)


def test_bytes_that_are_no_text_do_no_harm():
    assert isinstance(excerpt_of(bytes(range(256)) * 100), Excerpt)


class Inspected:
    def __init__(self) -> None:
        self.seen = b""

    async def feed(self, piece: bytes) -> None:
        self.seen += piece

    async def finish(self) -> tuple[dict[str, int], str]:
        return {"rule": 1}, "rules"


@pytest.mark.parametrize("piece", [1000, 70_000, 10_000_000])
async def test_start_and_end_of_a_long_output_are_kept(piece: int):
    output = b"start of it\n" + b"x" * 300_000 + b"\nValueError: at the end\n"
    inner = Inspected()
    watching = Excerpting(inner)
    for at in range(0, len(output), piece):
        await watching.feed(output[at : at + piece])
    assert inner.seen == output
    assert await watching.finish() == ({"rule": 1}, "rules")
    assert watching.excerpt is not None
    assert watching.excerpt.error == "ValueError: at the end"
    assert len(watching.excerpt.text) <= 2000 < START_BYTES + END_BYTES
