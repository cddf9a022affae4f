"""A PostgreSQL with TLS: Debian's, for that of the tests' own packages is built without."""

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest

from tests.peers.starting import wait_until_up
from tests.web.authority import Pair

_HOMES = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
_SETTINGS = ("fsync", "full_page_writes", "autovacuum")
# Who must show a certificate of their own name, who a password; the superuser comes through the socket alone.
_HBA = """
local all all trust
hostssl all holder 127.0.0.1/32 cert clientcert=verify-full
hostssl all renewed 127.0.0.1/32 scram-sha-256
"""


@dataclass(frozen=True)
class TlsPostgres:
    """A cluster of one test; the file `clients.pem` holds the authorities whose certificates it takes."""

    folder: Path
    port: int

    async def sql(self, *statements: str) -> None:
        """Run statements as its superuser."""
        connection = await asyncpg.connect(host=str(self.folder), port=self.port, user="postgres", database="postgres")
        for statement in statements:
            await connection.execute(statement)
        await connection.close()

    async def trust(self, authority: Pair) -> None:
        """Take certificates of `authority` alone from now on."""
        (self.folder / "clients.pem").write_bytes(authority.pem)
        await self.sql("SELECT pg_reload_conf()")

    async def end_connections(self) -> None:
        """End every connection but the one that says so, as a failover or a restart does."""
        await self.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name ~ '^failgate'")

    def url(self, user: str, **how: object) -> str:
        query = "&".join(f"{name}={value}" for name, value in {"sslmode": "verify-full", **how}.items())
        return f"postgresql://{user}@127.0.0.1:{self.port}/{user}?{query}"


@contextlib.contextmanager
def running(server: Pair, clients: Pair) -> Iterator[TlsPostgres]:
    """Run one that shows `server` and takes certificates of `clients`; skip where it is not installed."""
    if not _HOMES:
        pytest.skip("PostgreSQL with TLS is missing: install Debian's postgresql, which .ci/run names")
    # It does not run as root; then it is who came with the package.
    account = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}
    with (
        tempfile.TemporaryDirectory(prefix="pgtls", dir="/tmp", ignore_cleanup_errors=True) as name,
        socket.socket() as free,
    ):  # a socket's path is short
        free.bind(("127.0.0.1", 0))
        peer = TlsPostgres(Path(name), free.getsockname()[1])
        free.close()
        server.write(peer.folder, "server")
        (peer.folder / "clients.pem").write_bytes(clients.pem)
        if account:
            for path in (peer.folder, *peer.folder.iterdir()):
                shutil.chown(path, "postgres", "postgres")
        cluster, said = peer.folder / "cluster", peer.folder / "said"
        subprocess.run(
            [_HOMES[-1].with_name("initdb"), "-D", cluster, "-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8"],
            check=True, capture_output=True, cwd=peer.folder, **account,
        )  # fmt: skip
        (cluster / "pg_hba.conf").write_text(_HBA)
        settings = {
            "listen_addresses": "127.0.0.1", "port": peer.port, "unix_socket_directories": peer.folder, "ssl": "on",
            "ssl_cert_file": peer.folder / "server.pem", "ssl_key_file": peer.folder / "server.key",
            "ssl_ca_file": peer.folder / "clients.pem", **dict.fromkeys(_SETTINGS, "off"),
        }  # fmt: skip
        options = [word for key, value in settings.items() for word in ("-c", f"{key}={value}")]
        with said.open("wb") as heard:
            process = subprocess.Popen(
                [_HOMES[-1], "-D", cluster, *options], stdout=heard, stderr=heard, cwd=peer.folder, **account
            )
        try:
            wait_until_up(process, said, lambda: b"ready to accept connections" in said.read_bytes())
            yield peer
        finally:
            process.send_signal(2)  # SIGINT: end the connections, then end
            process.wait(60)
