"""The authentication request: how a browser leaves for a SAML provider.

Source: saml-core-2.0-os section 3.4.1; saml-profiles-2.0-os section 4.1.4.1.
"""

from failgate.sso.connection import Connection
from failgate.sso.protocol import Departure
from failgate.sso.saml.outgoing import depart, message
from failgate.sso.saml.service import ServiceProvider
from failgate.sso.saml.toolkit import saml_settings
from failgate.sso.saml.tree import SAMLP, etree

POST_BINDING = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"


def begin(connection: Connection, service: ServiceProvider, now_us: int, *, is_forced: bool = False) -> Departure:
    """Return a signed AuthnRequest in the connection's binding; its ID is the RelayState too.

    `is_forced` asks the provider to sign the person in anew. Signing takes milliseconds: call it in a thread.

    Raises: Refusal (the connection's metadata has expired, or it has no certificate).
    """
    settings = saml_settings(connection, now_us)
    root = message(
        "AuthnRequest",
        service,
        settings.sso_url,
        now_us,
        ProtocolBinding=POST_BINDING,
        AssertionConsumerServiceURL=service.acs_url,
    )
    if is_forced:
        root.set("ForceAuthn", "true")
    policy = etree.SubElement(root, f"{SAMLP}NameIDPolicy", AllowCreate="true")
    if settings.name_id_format:
        policy.set("Format", settings.name_id_format)
    return depart(root, "SAMLRequest", service, settings.sso_url, settings.sso_binding, root.get("ID"))
