"""An encrypted assertion: the one accepted form, and what is inside. Pure.

It is decrypted to bytes, which are judged and parsed as every other document is: xmlsec's own parser would write what
it cannot read, a person's attributes included, to the standard error stream.

Not accepted: RSA 1.5 key transport (Bleichenbacher), 3DES, anything that names a resource elsewhere. CBC is accepted,
because most providers send it; whoever alters a ciphertext learns nothing, as every refusal answers alike.
Source: XML Encryption 1.1; saml-core-2.0-os section 6.
"""

import importlib
from copy import deepcopy
from typing import Any, Final

from failgate.sso.protocol import Refusal
from failgate.sso.saml.refusals import Reason, refused
from failgate.sso.saml.tree import DS, SAML, XENC, Element, etree, parse, serialise

_xmlsec: Any = importlib.import_module("xmlsec")

_ENC: Final = "http://www.w3.org/2001/04/xmlenc#"
_ENC11: Final = "http://www.w3.org/2009/xmlenc11#"
CIPHERS: Final = frozenset(
    {f"{_ENC}aes128-cbc", f"{_ENC}aes192-cbc", f"{_ENC}aes256-cbc"}
    | {f"{_ENC11}aes128-gcm", f"{_ENC11}aes192-gcm", f"{_ENC11}aes256-gcm"}
)
KEY_TRANSPORTS: Final = frozenset({f"{_ENC}rsa-oaep-mgf1p", f"{_ENC11}rsa-oaep"})
_ELEMENT: Final = f"{_ENC}Element"
_ENCRYPTED_KEY: Final = f"{_ENC}EncryptedKey"


def check_encrypted(encrypted: Element) -> None:
    """Check that an EncryptedAssertion holds one EncryptedData under one EncryptedKey, both by value.

    Raises: Refusal.
    """
    bodies = list(encrypted.iter(f"{XENC}EncryptedData"))
    keys = list(encrypted.iter(f"{XENC}EncryptedKey"))
    if len(bodies) != 1 or len(keys) != 1 or bodies[0].getparent() is not encrypted:
        raise refused(Reason.ENCRYPTION)
    if bodies[0].get("Type", _ELEMENT) != _ELEMENT:
        raise refused(Reason.ENCRYPTION)
    _check_method(bodies[0], CIPHERS)
    _check_method(keys[0], KEY_TRANSPORTS)
    if next(encrypted.iter(f"{XENC}CipherReference"), None) is not None:
        raise refused(Reason.ENCRYPTION)
    for method in encrypted.iter(f"{DS}RetrievalMethod"):
        if method.get("Type") != _ENCRYPTED_KEY or not str(method.get("URI", "")).startswith("#") or len(method):
            raise refused(Reason.ENCRYPTION)


def decrypt(encrypted: Element, private_key: str) -> Element:
    """Return the assertion in `encrypted`, which `check_encrypted` has passed, opened with `private_key` (PEM).

    Raises: Refusal (what is inside is no assertion); xmlsec.Error (it is not for this key).
    """
    body = deepcopy(encrypted).find(f"{XENC}EncryptedData")
    info = body.find(f"{DS}KeyInfo")
    if info is None:
        raise refused(Reason.ENCRYPTION)
    for method in info.findall(f"{DS}RetrievalMethod"):
        info.remove(method)
    info.append(next(body.getparent().iter(f"{XENC}EncryptedKey")))  # from beside the body, where it may stand
    body.attrib.pop("Type", None)  # with a type, xmlsec puts the content in place by itself
    manager = _xmlsec.KeysManager()
    manager.add_key(_xmlsec.Key.from_memory(private_key, _xmlsec.KeyFormat.PEM, None))
    content = _xmlsec.EncryptionContext(manager).decrypt(body)
    # The content stands in the namespaces of its place, as XML Encryption section 4.3.3 has it.
    shell = serialise(etree.Element("shell", nsmap=encrypted.nsmap)).removesuffix(b"/>")
    try:
        root = parse(shell + b">" + bytes(content) + b"</shell>")
    except Refusal as refusal:
        raise refused(Reason.MARKUP if refusal.reason == Reason.MARKUP else Reason.ENCRYPTION) from None
    if [child.tag for child in root] != [f"{SAML}Assertion"]:
        raise refused(Reason.ASSERTIONS)
    return root[0]


def _check_method(element: Element, accepted: frozenset[str]) -> None:
    method = element.find(f"{XENC}EncryptionMethod")
    if method is None or method.get("Algorithm") not in accepted:
        raise refused(Reason.ENCRYPTION)
