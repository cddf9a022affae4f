"""The resources that are served: the core User without a password, the core Group of people, the enterprise extension.

The models are built from the very schemas that `/Schemas` shows, so that what is announced is what is checked. This
module loads pydantic: import it inside functions.

Source: RFC 7643 sections 4, 5, 7 and 8.
"""

from typing import Any, Final, Literal

from scim2_models import (
    Attribute,
    EnterpriseUser,
    Extension,
    Required,
    Resource,
    ResourceType,
    Schema,
    ScimPolicy,
    ScimProvider,
    Uniqueness,
)
from scim2_models import Group as CoreGroup
from scim2_models import User as CoreUser

from failgate.sso.scim.query import MAX_PAGE

Kind = Literal["User", "Group"]
USER_SCHEMA: Final = str(CoreUser.__schema__)
GROUP_SCHEMA: Final = str(CoreGroup.__schema__)
ENTERPRISE_SCHEMA: Final = str(EnterpriseUser.__schema__)
MAX_BODY_BYTES: Final = 1_048_576

# What providers send beside the standard: attributes that nobody declared, a value of `remove`, a filter that is to be
# created. Names are compared as RFC 7643 has them, without case where `caseExact` is false.
POLICY: Final = ScimPolicy(
    unknown=ScimPolicy.Unknown.ignore,
    remove_value_as_filter=ScimPolicy.RemoveValue.apply,
    unmatched_path_filter=ScimPolicy.UnmatchedPathFilter.create,
)


def _user_schema() -> Schema:
    schema = CoreUser.to_schema().model_copy(deep=True)
    schema.attributes = [each for each in _attributes(schema) if each.name != "password"]
    return schema


def _group_schema() -> Schema:
    schema = CoreGroup.to_schema().model_copy(deep=True)
    for attribute in _attributes(schema):
        if attribute.name == "displayName":
            attribute.uniqueness = Uniqueness.server
        if attribute.name == "members":  # without `display`, as section 8.7.1 shows it: who a member is says the person
            attribute.sub_attributes = [part for part in attribute.sub_attributes or [] if part.name != "display"]
        for part in attribute.sub_attributes or []:
            if part.name == "$ref":
                part.reference_types = ["User"]
            if part.name == "type":
                part.canonical_values = ["User"]
    return schema


def _enterprise_schema() -> Schema:
    schema = EnterpriseUser.to_schema().model_copy(deep=True)
    for attribute in _attributes(schema):
        for part in attribute.sub_attributes or []:
            part.required = Required.false  # as section 8.7.1 shows them; providers send a manager's `value` alone
    return schema


def _attributes(schema: Schema) -> list[Attribute]:
    return schema.attributes or []


_USER: Final = _user_schema()
_GROUP: Final = _group_schema()
_ENTERPRISE: Final = _enterprise_schema()
SCHEMAS: Final = (_USER, _GROUP, _ENTERPRISE)

_RESOURCE_TYPES: Final = (
    ResourceType.model_validate(
        {
            "id": "User", "name": "User", "endpoint": "/Users", "description": "A person", "schema": USER_SCHEMA,
            "schemaExtensions": [{"schema": ENTERPRISE_SCHEMA, "required": False}],
        }
    ),
    ResourceType.model_validate(
        {"id": "Group", "name": "Group", "endpoint": "/Groups", "description": "A group", "schema": GROUP_SCHEMA}
    ),
)  # fmt: skip
_PROVIDER: Final = ScimProvider(
    models=[Resource.from_schema(_USER), Resource.from_schema(_GROUP), Extension.from_schema(_ENTERPRISE)],
    resource_types=_RESOURCE_TYPES,
    policy=POLICY,
)


def model_of(kind: Kind) -> type[Resource[Any]]:
    """Return the model of a kind of resource, extensions included."""
    model = _PROVIDER.model_for(kind)
    assert model is not None
    assert issubclass(model, Resource)
    return model


def kinds() -> tuple[Kind, ...]:
    """Return the kinds of resources."""
    return ("User", "Group")


def service_provider_config(base_url: str) -> dict[str, Any]:
    """Return what `/ServiceProviderConfig` shows. Source: RFC 7643 section 5."""
    return {
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"],
        "patch": {"supported": True},
        "bulk": {"supported": False, "maxOperations": 0, "maxPayloadSize": 0},
        "filter": {"supported": True, "maxResults": MAX_PAGE},
        "changePassword": {"supported": False},
        "sort": {"supported": True},
        "etag": {"supported": True},
        "authenticationSchemes": [
            {
                "type": "oauthbearertoken",
                "name": "Bearer token of the connection",
                "description": "The token that the connection's page shows once, in the Authorization header.",
                "specUri": "https://www.rfc-editor.org/info/rfc6750",
                "primary": True,
            }
        ],
        "meta": {"resourceType": "ServiceProviderConfig", "location": f"{base_url}/ServiceProviderConfig"},
    }


def schema_documents(base_url: str) -> list[dict[str, Any]]:
    """Return what `/Schemas` shows. Source: RFC 7643 section 7."""
    documents: list[dict[str, Any]] = []
    for schema in SCHEMAS:
        document = dict(schema.model_dump())
        document["meta"] = {"resourceType": "Schema", "location": f"{base_url}/Schemas/{schema.id}"}
        documents.append(document)
    return documents


def resource_type_documents(base_url: str) -> list[dict[str, Any]]:
    """Return what `/ResourceTypes` shows. Source: RFC 7643 section 6."""
    documents: list[dict[str, Any]] = []
    for each in _RESOURCE_TYPES:
        document = dict(each.model_dump())
        document["meta"] = {"resourceType": "ResourceType", "location": f"{base_url}/ResourceTypes/{each.id}"}
        documents.append(document)
    return documents
