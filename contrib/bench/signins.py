"""People who all sign in at once, in a process of their own; reads one JSON job, prints one JSON object.

Each thread keeps the form of its first visit and sends it again and again, as many browsers would. One more asks
`/healthz` fifty times a second meanwhile, as whoever watches the server would.
"""

import http.client
import json
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlencode

from server import HOST, Browser


def sign_in(job: dict, place: int) -> list[str]:
    """Sign in `each` times; return what was not as expected."""
    browser = Browser(job["port"], job["origin"])
    token = browser.form_token("/signin")
    email = job["emails"][place % len(job["emails"])]
    body = urlencode({"csrf_token": token, "next": "/", "email": email, "password": job["password"]})
    headers = {
        "Cookie": browser.cookie,
        "Content-Type": "application/x-www-form-urlencoded",
        "Origin": job["origin"],
        "Sec-Fetch-Site": "same-origin",
    }
    failures: list[str] = []
    connection = http.client.HTTPConnection(HOST, job["port"], timeout=120)
    for _ in range(job["each"]):
        connection.request("POST", "/signin", body, headers)
        answer = connection.getresponse()
        answer.read()
        if answer.status != 303:
            failures.append(str(answer.status))
    connection.close()
    return failures


def watch(job: dict, is_over: threading.Event) -> float:
    """Return the 99th percentile of the milliseconds that `/healthz` takes until `is_over`."""
    took: list[float] = []
    connection = http.client.HTTPConnection(HOST, job["port"], timeout=120)
    while not is_over.wait(0.02):
        began = time.perf_counter()
        connection.request("GET", "/healthz")
        connection.getresponse().read()
        took.append((time.perf_counter() - began) * 1000)
    connection.close()
    return sorted(took)[len(took) * 99 // 100] if took else 0.0


def main() -> None:
    """Carry out the job on standard input."""
    job = json.loads(sys.stdin.read())
    began = time.perf_counter()
    is_over = threading.Event()
    with ThreadPoolExecutor(job["people"] + 1) as pool:
        watching = pool.submit(watch, job, is_over)
        failures = [
            each for found in pool.map(lambda place: sign_in(job, place), range(job["people"])) for each in found
        ]
        seconds = time.perf_counter() - began
        is_over.set()
    seen = {"count": job["people"] * job["each"], "seconds": seconds, "healthz_p99_ms": watching.result()}
    print(json.dumps(seen | {"failed": len(failures), "failures": failures[:5]}))


if __name__ == "__main__":
    main()
