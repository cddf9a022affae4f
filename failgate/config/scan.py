"""`[artifacts.scan]`: which virus scanner looks through what is uploaded, and what happens to what it does not take."""

from typing import Annotated, Literal

import msgspec

from failgate.config.addresses import is_loopback_host, split_listen
from failgate.config.bounds import Between, Fits
from failgate.config.units import Duration, Size


def check_clamd(address: str) -> None:
    """Refuse what is no place of a clamd on this machine. Raises: ValueError."""
    if address.startswith("/"):
        if len(address.encode()) > 100:  # sun_path of unix(7) has 108 bytes
            raise ValueError("the path of a socket has at most 100 bytes")
        return
    try:
        host, port = split_listen(address)
    except ValueError:
        host, port = "", 0
    if not port:
        raise ValueError(
            'takes the path of clamd\'s socket or its port here: say "/run/clamav/clamd.ctl" or "127.0.0.1:3310"'
        )
    if not is_loopback_host(host):
        raise ValueError(
            "clamd has neither TLS nor a password: run it on this machine, or lead a tunnel to a loopback address"
        )


class ScanSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[artifacts.scan]`: the clamd that looks through artifacts; what it did not see nobody downloads.

    `limit` is at most its StreamMaxLength; `larger` says whether what is larger is shown all the same.
    """

    clamd: Annotated[str, Fits(check_clamd)]
    limit: Annotated[Size, Between("1KiB", "4GiB")] = Size("25MiB")
    larger: Literal["withhold", "show"] = "withhold"
    timeout: Annotated[Duration, Between("1s", "30m")] = Duration("2m")
