"""SimpleSAMLphp as the tests' real SAML identity provider, and a browser's ways through its pages without a browser."""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import urljoin

import httpx
import pytest
from lxml import etree, html

from failgate.sso.saml.service import KeyPair, ServiceProvider
from tests.peers.starting import wait_until_up
from tests.trust import TRUST

HOME = Path(__file__).parent / "simplesamlphp"
INSTALLED = Path("/usr/share/simplesamlphp/www")
STUDENT, EMPLOYEE = ("student", "studentpass"), ("employee", "employeepass")

NOWHERE = "\0"  # no address begins so: go on until a page stands still
ONWARD = re.compile(r'href="(/[^"]*)" data-leave')  # the page of ours that follows a sign-in at a provider by itself


def person(number: int) -> tuple[str, str]:
    """One of nine more people, so that each test has one of its own."""
    return f"person{number}", f"password{number}"


class SimpleSamlPhp:
    """One identity provider in processes of its own, on a free port."""

    def __init__(self, state: Path, key: KeyPair, people: dict[tuple[str, str], dict] | None = None) -> None:
        self.state = state
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.entity_id = f"{self.url}/idp"
        self.process: subprocess.Popen[bytes] | None = None
        (state / "cert").mkdir(parents=True)
        self.use_key(key)
        if people:
            listed = {f"{name}:{password}": said for (name, password), said in people.items()}
            (state / "people.json").write_text(json.dumps(listed))
        self.serve([])

    def use_key(self, key: KeyPair) -> None:
        """Sign with `key` from now on."""
        (self.state / "cert" / "idp.key").write_text(key.private_key.reveal())
        (self.state / "cert" / "idp.crt").write_text(key.certificate)

    def serve(self, services: list[dict]) -> None:
        """Know these service providers from now on."""
        (self.state / "sps.json").write_text(json.dumps(services))

    def start(self) -> "SimpleSamlPhp":
        said = self.state / "said"
        with said.open("wb") as heard:
            self.process = subprocess.Popen(
                [HOME / "start.sh", self.state, str(self.port)], stdout=heard, stderr=heard, start_new_session=True
            )
        wait_until_up(self.process, said, self._answers)
        return self

    def _answers(self) -> bool:
        with contextlib.suppress(httpx.TransportError):
            answer = httpx.get(f"{self.url}/simplesaml/saml2/idp/metadata.php", timeout=60, verify=TRUST)
            return "EntityDescriptor" in answer.text
        return False

    def stop(self) -> None:
        """End it with its workers, which outlive their parent."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(60)

    def metadata(self) -> bytes:
        return httpx.get(f"{self.url}/simplesaml/saml2/idp/metadata.php", timeout=60, verify=TRUST).content

    def initiation(self, entity_id: str, relay_state: str = "") -> str:
        """Where a person starts at the provider itself."""
        query = httpx.QueryParams({"spentityid": entity_id, **({"RelayState": relay_state} if relay_state else {})})
        return f"{self.url}/simplesaml/saml2/idp/SSOService.php?{query}"

    def logout(self, return_to: str) -> str:
        """Where a person signs out of the provider itself."""
        query = httpx.QueryParams({"ReturnTo": return_to})
        return f"{self.url}/simplesaml/saml2/idp/SingleLogoutService.php?{query}"


@contextlib.contextmanager
def running(state: Path, key: KeyPair) -> Iterator[SimpleSamlPhp]:
    """Run one that signs with `key`; skip where it is not installed."""
    if not (shutil.which("php") and INSTALLED.is_dir()):
        pytest.skip("SimpleSAMLphp is missing: install the packages that .ci/run names")
    peer = SimpleSamlPhp(state, key)
    try:
        yield peer.start()
    finally:
        peer.stop()


def entry(service: ServiceProvider, **changes: object) -> dict:
    """What SimpleSAMLphp has to know of `service`."""
    return {
        "entityid": service.entity_id,
        "acs": service.acs_url,
        "sls": service.logout_url,
        "certificate": service.signing.certificate,
        **changes,
    }


def entry_in(metadata: bytes) -> dict:
    """What SimpleSAMLphp has to know of the service provider whose metadata this is."""
    root = etree.fromstring(metadata)
    certificate = root.find(".//{*}KeyDescriptor//{*}X509Certificate").text
    return {
        "entityid": root.get("entityID"),
        "acs": root.find(".//{*}AssertionConsumerService").get("Location"),
        "sls": root.find(".//{*}SingleLogoutService").get("Location"),
        "certificate": f"-----BEGIN CERTIFICATE-----\n{certificate}\n-----END CERTIFICATE-----\n",
    }


@dataclass(frozen=True)
class Form:
    url: str
    fields: dict[str, str]


# What a browser says of a navigation after a click on a page of the same site.
CLICKED = {"sec-fetch-site": "same-origin", "sec-fetch-user": "?1"}


class Walker:
    """Follows redirects and forms as a browser does, and stops at the door that it is told."""

    def __init__(self) -> None:
        self.client = httpx.Client(timeout=60, follow_redirects=False, verify=TRUST)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()

    def open(self, url: str, *, until: str = NOWHERE, fields: dict[str, str] | None = None) -> httpx.Response | Form:
        """Go to `url` (by POST with `fields`), and on, until an address begins with `until` or a page stands still."""
        form = Form(url, fields or {})
        is_post = fields is not None
        for _ in range(20):
            if form.url.startswith(until):
                return form
            answer = (
                self.client.post(form.url, data=form.fields)
                if is_post
                else self.client.get(form.url, headers=CLICKED if "/start" in form.url else {})
            )
            if answer.is_redirect:
                form, is_post = Form(urljoin(form.url, answer.headers["location"]), {}), False
                continue
            carried = self.carried(answer)
            if carried is None and (onward := ONWARD.search(answer.text)) is not None:
                form, is_post = Form(urljoin(form.url, onward[1]), {}), False
                continue
            if carried is None:
                return answer
            form, is_post = carried, True
        raise AssertionError(f"no end of the walk at {form.url}")

    def sign_in(self, page: httpx.Response | Form, person: tuple[str, str], *, until: str) -> httpx.Response | Form:
        """Fill in SimpleSAMLphp's sign-in form, which `page` is."""
        assert isinstance(page, httpx.Response), page
        form = self.form(page)
        assert form is not None, page.text
        assert "AuthState" in form.fields, page.text
        return self.open(form.url, until=until, fields={**form.fields, "username": person[0], "password": person[1]})

    def form(self, page: httpx.Response) -> Form | None:
        tree = html.fromstring(page.content)
        if not tree.forms:
            return None
        found = tree.forms[0]
        return Form(
            urljoin(str(page.url), found.action or str(page.url)),
            {name: value or "" for name, value in found.fields.items() if name},
        )

    def carried(self, page: httpx.Response) -> Form | None:
        """The form that a page posts by itself, as the POST binding has it; not one that waits to be pressed."""
        if "html" not in page.headers.get("content-type", "") or "data-ask" in page.text:
            return None
        form = self.form(page)
        return form if form is not None and {"SAMLRequest", "SAMLResponse"} & set(form.fields) else None
