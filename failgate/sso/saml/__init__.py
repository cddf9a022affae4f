"""SAML 2.0 service provider: requests, responses, logout and metadata. Pure: no database, no network; synchronous.

`service` is light. The other modules load python3-saml, xmlsec and lxml: import them where they are called, and call
them in a thread.
"""
