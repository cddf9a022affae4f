"""Messages that we send: built as trees, signed, and put into their binding.

python3-saml's own templates paste addresses into XML unescaped (an `&` in an SSO address breaks them), so the trees are
built here and signed by it.
Source: saml-bindings-2.0-os sections 3.4 (redirect) and 3.5 (POST).
"""

import base64
import secrets
import zlib
from typing import Any, Final, Literal
from urllib.parse import urlencode

from onelogin.saml2.constants import OneLogin_Saml2_Constants
from onelogin.saml2.utils import OneLogin_Saml2_Utils

from failgate.sso.connection import Binding
from failgate.sso.protocol import Departure
from failgate.sso.saml.instants import write_instant
from failgate.sso.saml.service import ServiceProvider
from failgate.sso.saml.tree import SAML, SAMLP, Element, etree, serialise

RSA_SHA256: Final = OneLogin_Saml2_Constants.RSA_SHA256
_PREFIXES: Final = {
    "samlp": OneLogin_Saml2_Constants.NS_SAMLP,
    "saml": OneLogin_Saml2_Constants.NS_SAML,
}
Kind = Literal["SAMLRequest", "SAMLResponse"]


def new_id() -> str:
    """Return an ID of 160 random bits that is an xs:NCName."""
    return f"_{secrets.token_hex(20)}"


def message(name: str, service: ServiceProvider, destination: str, now_us: int, **attributes: str) -> Element:
    """Return a protocol message `name` with its ID, times, destination and our entity id as its issuer."""
    root = etree.Element(f"{SAMLP}{name}", nsmap=_PREFIXES)
    root.set("ID", new_id())
    root.set("Version", "2.0")
    root.set("IssueInstant", write_instant(now_us))
    root.set("Destination", destination)
    for key, value in attributes.items():
        root.set(key, value)
    etree.SubElement(root, f"{SAML}Issuer").text = service.entity_id
    return root


def depart(
    root: Element, kind: Kind, service: ServiceProvider, url: str, binding: Binding, relay_state: str
) -> Departure:
    """Return how the browser carries the message `root`, signed with RSA-SHA256, to `url`."""
    if binding == "post":
        signed: Any = OneLogin_Saml2_Utils.add_sign(
            root, service.signing.private_key.reveal(), service.signing.certificate, sign_algorithm=RSA_SHA256
        )
        fields: list[tuple[str, str]] = [(kind, base64.b64encode(signed).decode())]
        fields += [("RelayState", relay_state)] if relay_state else []
        return Departure(url=url, fields=tuple(fields), request_id=root.get("ID"))
    deflater = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    deflated = deflater.compress(serialise(root)) + deflater.flush()
    query: list[tuple[str, str]] = [(kind, base64.b64encode(deflated).decode())]
    query += [("RelayState", relay_state)] if relay_state else []
    signed_query = urlencode([*query, ("SigAlg", RSA_SHA256)])
    signature = OneLogin_Saml2_Utils.sign_binary(signed_query, service.signing.private_key.reveal())
    whole = f"{signed_query}&{urlencode({'Signature': base64.b64encode(signature).decode()})}"
    return Departure(url=f"{url}{'&' if '?' in url else '?'}{whole}", request_id=root.get("ID"))
