"""The agent's and the developer's side: ask, verify, execute once, capture, review, upload.

Start-up time is most of what an agent waits for, so a module imports at its head only what every call of `failgate run`
needs; everything else is imported where it is used. Nothing here knows the server's rooms.
"""
