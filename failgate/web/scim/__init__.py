"""The doors of provisioning, `/scim/v2/…`: what an identity provider asks, in the words of RFC 7644."""
