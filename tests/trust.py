"""What the clients of the tests trust, read once: each client reads every root of the world again, in 20 ms."""

import ssl
from typing import Final

import httpx

TRUST: Final[ssl.SSLContext] = httpx.create_ssl_context()
