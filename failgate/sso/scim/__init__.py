"""SCIM 2.0 (RFC 7643, RFC 7644): an identity provider keeps people and groups here, and they become accounts and roles.

`resources`, `reading`, `patching`, `filtering` and `translation`, `projection` and `dialects` know the protocol and no
database; `tables` and `directory` keep what is provisioned; `governing` says what it means for accounts, memberships,
sessions and votes. The modules that need scim2-models (and pydantic below it) are imported at the first request, never
at start.
"""
