"""The one accepted form of an encrypted assertion."""

from typing import Any

import pytest
from lxml import etree

from failgate.sso.protocol import Refusal
from failgate.sso.saml.encryption import check_encrypted
from failgate.sso.saml.refusals import Reason
from tests.sso.saml.provider import Provider, encrypted, key_pair, service

X = {"x": "http://www.w3.org/2001/04/xmlenc#", "d": "http://www.w3.org/2000/09/xmldsig#"}
XENC, DS = (f"{{{uri}}}" for uri in X.values())


def shell() -> Any:
    return encrypted(Provider().assertion(service(), "_r"), key_pair("sp").certificate)


def _sibling(shell: Any) -> None:
    """As Shibboleth writes it: the key stands beside, and is named by a reference."""
    info, held = shell.find(".//d:KeyInfo", X), shell.find(".//x:EncryptedKey", X)
    held.set("Id", "_key")
    shell.append(held)
    etree.SubElement(info, f"{DS}RetrievalMethod", Type=f"{X['x']}EncryptedKey", URI="#_key")


def test_a_key_inside_or_beside_is_accepted() -> None:
    check_encrypted(shell())
    beside = shell()
    _sibling(beside)
    check_encrypted(beside)


def _abroad(**attributes: str) -> Any:
    def edit(shell: Any) -> None:
        _sibling(shell)
        for name, value in attributes.items():
            shell.find(".//d:RetrievalMethod", X).set(name, value)

    return edit


def _referenced(shell: Any) -> None:
    held = shell.find(".//x:CipherData", X)
    held.remove(held[0])
    etree.SubElement(held, f"{XENC}CipherReference", URI="http://127.0.0.1:1/x")


@pytest.mark.parametrize(
    "edit",
    [
        lambda shell: shell.append(etree.fromstring(etree.tostring(shell[0]))),
        lambda shell: shell.append(etree.fromstring(etree.tostring(shell.find(".//x:EncryptedKey", X)))),
        lambda shell: shell.remove(shell[0]),
        lambda shell: shell.find(".//x:EncryptedKey", X).getparent().remove(shell.find(".//x:EncryptedKey", X)),
        lambda shell: shell[0].set("Type", f"{X['x']}Content"),
        lambda shell: shell[0].remove(shell[0].find("x:EncryptionMethod", X)),
        lambda shell: shell[0].find("x:EncryptionMethod", X).set("Algorithm", f"{X['x']}tripledes-cbc"),
        lambda shell: shell.find(".//x:EncryptedKey/x:EncryptionMethod", X).set("Algorithm", f"{X['x']}rsa-1_5"),
        lambda shell: etree.SubElement(shell, "x").append(shell[0]),
        _referenced,
        _abroad(URI="http://127.0.0.1:1/key"),
        _abroad(Type="http://www.w3.org/2000/09/xmldsig#rawX509Certificate"),
        lambda shell: (_sibling(shell), etree.SubElement(shell.find(".//d:RetrievalMethod", X), f"{DS}Transforms")),
    ],
)
def test_every_other_form_is_refused(edit: Any) -> None:
    made = shell()
    edit(made)
    with pytest.raises(Refusal) as caught:
        check_encrypted(made)
    assert caught.value.reason == Reason.ENCRYPTION
