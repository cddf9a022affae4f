"""OpenID Connect as a relying party, and GitHub's OAuth 2 flow: from a departure to a checked assertion.

`oidc.py` has the verbs; `metadata`, `token`, `id_token`, `logout_token`, `claims` and `presets` say what is right
without a socket; `documents`, `exchange` and `github` fetch, always through `base/outbound.Outbound`. Accounts,
sessions and what may be used once belong to `sso/sso.py`.
"""
