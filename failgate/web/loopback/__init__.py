"""The review of a local report in a browser: doors of the client's own process, for one person, on the loopback.

Not doors of the server: nothing of it is opened here, and none of these stands in `web/routes.py`. What a review knows
and does is in `client/reviewing.py`; here is how a page asks for it, and who may.
"""
