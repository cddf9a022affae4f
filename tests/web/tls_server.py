"""A server that speaks TLS over the files of a test, and what knocks at it."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import httpx

from failgate.config.tls import TlsSection
from failgate.roster import Services
from tests.web.authority import Authority, Pair
from tests.web.conftest import Running, running, with_server


class TlsFiles:
    """The files of a server and of its client authority."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = Authority("Server root")
        self.clients = Authority("Client root")
        self.certificate, self.key = self.root.server().write(folder, "server")
        self.client_ca = folder / "clients.pem"
        self.client_ca.write_bytes(self.clients.pair.pem)
        self.crl = folder / "clients.crl"
        self.crl.write_bytes(self.clients.crl())

    def section(self, client_certificates: str = "off") -> TlsSection:
        if client_certificates == "off":
            return TlsSection(certificate=self.certificate, key=self.key)
        return TlsSection(
            certificate=self.certificate, key=self.key, client_ca=self.client_ca, crl=(self.crl,),
            client_certificates=client_certificates,
        )  # fmt: skip

    def context(self, pair: Pair | None = None, *chain: Pair, **how) -> ssl.SSLContext:
        """Return what a client trusts, and shows."""
        context = ssl.create_default_context(cadata=how.pop("root", self.root).pair.pem.decode())
        if pair is not None:
            context.load_cert_chain(*pair.write(self.folder, f"client-{pair.certificate.serial_number}", *chain))
        return context


class TlsRunning:
    """A server that answers by TLS."""

    def __init__(self, one: Running, files: TlsFiles) -> None:
        self.one = one
        self.files = files
        self.host, self.port = one.host, one.port
        self.services = one.services

    @property
    def origin(self) -> str:
        return f"https://localhost:{self.port}"

    def client(self, pair: Pair | None = None, *chain: Pair, **how) -> httpx.AsyncClient:
        context = self.files.context(pair, *chain)
        return httpx.AsyncClient(base_url=self.origin, verify=context, trust_env=False, timeout=10, **how)

    async def open(self, context: ssl.SSLContext | None = None) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        given = context or self.files.context()
        return await asyncio.open_connection("127.0.0.1", self.port, ssl=given, server_hostname="localhost")

    async def shown(self) -> bytes:
        """Return the certificate that a new connection is shown."""
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        _, writer = await self.open(context)
        shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        writer.close()
        return shown


@contextlib.asynccontextmanager
async def running_tls(
    services: Services, files: TlsFiles, client_certificates: str = "off", **settings
) -> AsyncIterator[TlsRunning]:
    settings = {"tls": files.section(client_certificates), **settings}
    doors = {"doors": settings.pop("doors")} if "doors" in settings else {}
    async with running(with_server(services, **settings), **doors) as one:
        yield TlsRunning(one, files)
