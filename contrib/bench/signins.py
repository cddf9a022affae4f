"""People who all sign in at once, in a process of their own; reads one JSON job, prints one JSON object.

Each thread keeps the form of its first visit and sends it again and again, as many browsers would.
"""

import http.client
import json
import sys
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


def main() -> None:
    """Carry out the job on standard input."""
    job = json.loads(sys.stdin.read())
    began = time.perf_counter()
    with ThreadPoolExecutor(job["people"]) as pool:
        failures = [
            each for found in pool.map(lambda place: sign_in(job, place), range(job["people"])) for each in found
        ]
    seconds = time.perf_counter() - began
    count = job["people"] * job["each"]
    print(json.dumps({"count": count, "seconds": seconds, "failed": len(failures), "failures": failures[:5]}))


if __name__ == "__main__":
    main()
