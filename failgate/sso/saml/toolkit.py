"""python3-saml's settings for one connection, made anew for each message: nothing is read from files."""

from typing import Any

from onelogin.saml2.settings import OneLogin_Saml2_Settings

from failgate.sso.connection import Connection, SamlSettings
from failgate.sso.saml.refusals import Reason, refused
from failgate.sso.saml.service import KeyPair, ServiceProvider


def saml_settings(connection: Connection, now_us: int) -> SamlSettings:
    """Return the connection's settings, which can be used now.

    Raises: Refusal (its metadata has expired, or it has no certificate). AssertionError: it is no SAML connection.
    """
    settings = connection.settings
    assert isinstance(settings, SamlSettings)
    if settings.metadata_expires_us is not None and settings.metadata_expires_us <= now_us:
        raise refused(Reason.METADATA_EXPIRED)
    if not settings.certificates:
        raise refused(Reason.NO_CERTIFICATE)
    return settings


def toolkit_settings(
    settings: SamlSettings, service: ServiceProvider, key: KeyPair, *, is_response_signed: bool
) -> OneLogin_Saml2_Settings:
    """Return python3-saml's settings, as strict as it goes.

    `wantMessagesSigned` or `wantAssertionsSigned` follows what the response carries: one of them is always demanded.
    """
    given: dict[str, Any] = {
        "strict": True,
        "debug": False,
        "sp": {
            "entityId": service.entity_id,
            "assertionConsumerService": {"url": service.acs_url},
            "singleLogoutService": {"url": service.logout_url},
            "x509cert": key.certificate,
            "privateKey": key.private_key.reveal(),
        },
        "idp": {
            "entityId": settings.entity_id,
            "singleSignOnService": {"url": settings.sso_url},
            "x509certMulti": {"signing": list(settings.certificates)},
        },
        "security": {
            "wantMessagesSigned": is_response_signed,
            "wantAssertionsSigned": not is_response_signed,
            "wantAssertionsEncrypted": settings.is_encryption_required,
            "wantNameId": True,
            "wantAttributeStatement": False,
            "requestedAuthnContext": False,
            "rejectDeprecatedAlgorithm": True,
            "allowRepeatAttributeName": False,
            "allowSingleLabelDomains": True,
            "authnRequestsSigned": True,
        },
    }
    return OneLogin_Saml2_Settings(given)
