"""Which hosts people named that the operator does not list: providers of workspaces, webhooks, metadata by address.

Nothing of it is asked. It is told at the start, so that whoever updates a server, or takes a host from the list, reads
what stopped working, and what to write where, before anybody meets it at a sign-in.
"""

import json
from urllib.parse import urlsplit

from failgate.base.db import Database
from failgate.base.log import get_logger
from failgate.base.outbound import Outbound

_CONNECTIONS = "SELECT settings FROM sso_connection WHERE removed_us IS NULL AND is_enabled = 1"
# `shown` is what a notifier shows of its sealed address: scheme and host at least, of those that are URLs.
_DESTINATIONS = "SELECT shown FROM notify_destination WHERE is_enabled = 1"
log = get_logger("failgate.outbound")


async def unlisted_hosts(database: Database, outbound: Outbound) -> list[str]:
    """Return the hosts that enabled connections and destinations name and `outbound` does not list, in order."""
    addresses = [row["shown"] for row in await database.fetch(_DESTINATIONS)]
    for row in await database.fetch(_CONNECTIONS):
        settings = json.loads(row["settings"])
        addresses += [settings.get(key) for key in ("issuer", "metadata_url", "token_url", "api_url")]
    hosts = {_host_of(address) for address in addresses if address}
    return sorted(host for host in hosts if host and not outbound.lists(host))


async def tell_unlisted(database: Database, outbound: Outbound) -> None:
    """Warn of each host that is named and not listed."""
    for host in await unlisted_hosts(database, outbound):
        log.warning("outbound.host_not_listed", host=host, mend="add it to [server] outbound_hosts")


def _host_of(address: str) -> str:
    try:
        parts = urlsplit(address)
    except ValueError:
        return ""
    return parts.hostname or "" if parts.scheme in {"http", "https"} else ""
