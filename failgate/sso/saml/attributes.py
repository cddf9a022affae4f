"""What a provider says about a person beside the name, and which of it we use. Pure.

Source: saml-core-2.0-os section 2.7.3.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from failgate.sso.connection import SamlSettings
from failgate.sso.saml.name_id import is_plain
from failgate.sso.saml.refusals import Reason, refused
from failgate.sso.saml.tree import SAML, Element

_CLAIMS: Final = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims"
_MICROSOFT: Final = "http://schemas.microsoft.com"
# What Okta, Entra, Google, Keycloak, AD FS, Shibboleth and SimpleSAMLphp call them, tried in this order.
EMAIL_NAMES: Final = ("email", "mail", "emailAddress", "urn:oid:0.9.2342.19200300.100.1.3", f"{_CLAIMS}/emailaddress")
DISPLAY_NAMES: Final = (
    "displayName",
    "urn:oid:2.16.840.1.113730.3.1.241",
    f"{_MICROSOFT}/identity/claims/displayname",
    "name",
    "cn",
    "urn:oid:2.5.4.3",
)
GROUP_NAMES: Final = (
    "groups",
    f"{_MICROSOFT}/ws/2008/06/identity/claims/groups",
    "http://schemas.xmlsoap.org/claims/Group",
    "memberOf",
    "isMemberOf",
    "urn:oid:1.3.6.1.4.1.5923.1.5.1.1",
)
METHOD_NAMES: Final = (f"{_MICROSOFT}/claims/authnmethodsreferences",)
MAX_ATTRIBUTES: Final = 200


@dataclass(frozen=True, slots=True)
class Attributes:
    """Every attribute by its Name, and which Names answer to a friendly name."""

    values: Mapping[str, tuple[str, ...]]
    friendly: Mapping[str, tuple[str, ...]]

    def called(self, name: str) -> tuple[str, ...]:
        """Return the values of the attribute whose Name or FriendlyName is `name`; none when there is none.

        Raises: Refusal (two attributes answer to it).
        """
        names = {*self.friendly.get(name, ()), *([name] if name in self.values else ())}
        if len(names) > 1:
            raise refused(Reason.ATTRIBUTE_AMBIGUOUS)
        return next((self.values[found] for found in names), ())

    def first_called(self, configured: str | None, usual: tuple[str, ...]) -> tuple[str, ...]:
        """Return the values of the `configured` attribute; where none is, of the first of the `usual` ones.

        Raises: Refusal (two attributes answer to one name; a value that is used is not plain text).
        """
        names = (configured,) if configured else usual
        found = next((values for name in names if (values := self.called(name))), ())
        if not all(is_plain(value) for value in found):
            raise refused(Reason.ATTRIBUTES)
        return found


def read_attributes(assertion: Element) -> Attributes:
    """Return the attributes of all statements of `assertion`.

    Values that are elements (a nested NameID) or nil are left out: nothing maps them.

    Raises: Refusal (one Name twice, nameless, encrypted, too many).
    """
    values: dict[str, tuple[str, ...]] = {}
    friendly: dict[str, tuple[str, ...]] = {}
    for statement in assertion.findall(f"{SAML}AttributeStatement"):
        for attribute in statement:
            name = str(attribute.get("Name") or "")
            if attribute.tag != f"{SAML}Attribute" or not is_plain(name) or name in values:
                raise refused(Reason.ATTRIBUTES)
            values[name] = tuple(
                str(value.text) for value in attribute.findall(f"{SAML}AttributeValue") if not len(value) and value.text
            )
            alias = attribute.get("FriendlyName")
            if alias:
                friendly[alias] = (*friendly.get(alias, ()), name)
    if len(values) > MAX_ATTRIBUTES:
        raise refused(Reason.ATTRIBUTES)
    return Attributes(values, friendly)


def email_of(attributes: Attributes, settings: SamlSettings) -> str | None:
    """Return the first e-mail address that is asserted, as it was written."""
    return next(iter(attributes.first_called(settings.email_attribute, EMAIL_NAMES)), None)
