"""People who all sign in at once, in a process of their own; reads one JSON job, prints one JSON object.

Raw sockets and requests made beforehand, so that the client is not what is measured. Each thread keeps the form of its
first visit and sends it again and again, as many browsers would. One more asks `/healthz` fifty times a second
meanwhile, as whoever watches the server would.
"""

import json
import socket
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlencode

from load import length_of, post
from server import HOST, Browser


class Connection:
    """A connection on which one request follows the answer to another."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection((HOST, port), timeout=120)

    def ask(self, request: bytes) -> int:
        """Send `request`; return the status of its answer, which has been read."""
        self._socket.sendall(request)
        answer, end = b"", -1
        while end < 0 or len(answer) < end + 4 + length_of(answer[:end]):
            piece = self._socket.recv(65536)
            if not piece:
                raise ConnectionError("the server closed the connection")
            answer += piece
            end = answer.find(b"\r\n\r\n")
        return int(answer[9:12])

    def close(self) -> None:
        """Close it."""
        self._socket.close()


def visit(job: dict, place: int) -> bytes:
    """Open the form as a browser does; return the request that signs in."""
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
    return post({"host": HOST, **job}, "/signin", headers, body.encode())


def sign_in(job: dict, request: bytes) -> list[str]:
    """Sign in `each` times; return what was not as expected."""
    connection = Connection(job["port"])
    statuses = [connection.ask(request) for _ in range(job["each"])]
    connection.close()
    return [str(status) for status in statuses if status != 303]


def watch(job: dict, is_over: threading.Event) -> float:
    """Return the 99th percentile of the milliseconds that `/healthz` takes until `is_over`."""
    took: list[float] = []
    connection = Connection(job["port"])
    request = f"GET /healthz HTTP/1.1\r\nHost: {HOST}:{job['port']}\r\n\r\n".encode()
    while not is_over.wait(0.02):
        began = time.perf_counter()
        connection.ask(request)
        took.append((time.perf_counter() - began) * 1000)
    connection.close()
    return sorted(took)[len(took) * 99 // 100] if took else 0.0


def main() -> None:
    """Carry out the job on standard input."""
    job = json.loads(sys.stdin.read())
    requests = [visit(job, place) for place in range(job["people"])]
    is_over = threading.Event()
    with ThreadPoolExecutor(job["people"] + 1) as pool:
        watching = pool.submit(watch, job, is_over)
        began = time.perf_counter()
        failures = [each for found in pool.map(lambda request: sign_in(job, request), requests) for each in found]
        seconds = time.perf_counter() - began
        is_over.set()
    seen = {"count": job["people"] * job["each"], "seconds": seconds, "healthz_p99_ms": watching.result()}
    print(json.dumps(seen | {"failed": len(failures), "failures": failures[:5]}))


if __name__ == "__main__":
    main()
