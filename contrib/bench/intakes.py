"""Reports of vulnerabilities from one address at a steady pace, in a process of its own: a JSON job in, an object out.

Each is a whole form with an attachment, as a browser sends it. The first are taken; what comes too often has to be
answered 429 with `Retry-After`, and anything else is counted as failed.
"""

import http.client
import json
import re
import sys
import time
from collections import Counter
from pathlib import Path

from server import HOST, Browser

PATH = "/security/report"
BOUNDARY = "----intake"
HASTE_SECONDS = 3.5  # before which the desk takes no form
_STAMP = re.compile(r'name="stamp" value="([^"]+)"')
_FIELDS = ("title", "affected", "steps", "expected", "actual", "impact", "contact")


def form(token: str, stamp: str) -> bytes:
    """Return a report with a log of 20 KB beside it."""
    said = {"csrf_token": token, "stamp": stamp} | {name: f"what {name} says of it\r\n" * 10 for name in _FIELDS}
    said["title"] = "A share link opens twice"
    parts = [f'name="{name}"\r\n\r\n{text}' for name, text in said.items()]
    log = "GET /s/abc 200 1.2 ms\n" * 1000
    parts.append(f'name="files"; filename="run.log"\r\nContent-Type: text/plain\r\n\r\n{log}')
    lines = [f"--{BOUNDARY}\r\nContent-Disposition: form-data; {part}\r\n" for part in parts]
    return "".join([*lines, f"--{BOUNDARY}--\r\n"]).encode()


def main() -> None:
    """Send `rate` forms a second until somebody takes away the file `beside`, which is made when the first is sent."""
    job = json.load(sys.stdin)
    browser, beside = Browser(job["port"], job["origin"]), Path(job["beside"])
    token, page = browser.form_token(PATH), browser.page(PATH)
    stamp = _STAMP.search(page)
    assert stamp is not None, "the page has no stamp"
    body = form(token, stamp[1])
    headers = {
        "Cookie": browser.cookie, "Origin": job["origin"], "Sec-Fetch-Site": "same-origin",
        "Content-Type": f"multipart/form-data; boundary={BOUNDARY}",
    }  # fmt: skip
    time.sleep(HASTE_SECONDS)
    beside.touch()
    connection = http.client.HTTPConnection(HOST, job["port"], timeout=60)
    seen: Counter[int] = Counter()
    failures: list[str] = []
    began = time.monotonic()
    while beside.exists():
        connection.request("POST", PATH, body, headers)
        answer = connection.getresponse()
        text = answer.read()
        seen[answer.status] += 1
        is_due = answer.status in {303, 409} or (answer.status == 429 and answer.headers["retry-after"])
        if not is_due and len(failures) < 5:
            failures.append(f"{answer.status}: {re.sub(rb'<[^>]+>', b' ', text)[-300:]!r}")
        time.sleep(max(0.0, began + seen.total() / job["rate"] - time.monotonic()))
    seconds = time.monotonic() - began
    report = {"count": seen.total(), "seconds": seconds, "taken": seen[303], "turned_away": seen[429]}
    print(json.dumps(report | {"failed": len(failures), "failures": failures}))


if __name__ == "__main__":
    main()
