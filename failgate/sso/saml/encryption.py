"""An encrypted assertion, before it is decrypted: the one accepted form. Pure.

Not accepted: RSA 1.5 key transport (Bleichenbacher), 3DES, anything that names a resource elsewhere. CBC is accepted,
because most providers send it; whoever alters a ciphertext learns nothing, as every refusal answers alike.
Source: XML Encryption 1.1; saml-core-2.0-os section 6.
"""

from typing import Final

from failgate.sso.saml.refusals import Reason, refused
from failgate.sso.saml.tree import DS, XENC, Element

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


def _check_method(element: Element, accepted: frozenset[str]) -> None:
    method = element.find(f"{XENC}EncryptionMethod")
    if method is None or method.get("Algorithm") not in accepted:
        raise refused(Reason.ENCRYPTION)
