"""End to end: what an agent seals, reviewers open and sign, and the agent believes. Client and server share it.

Pure: bytes and objects in, values or `Refused` out; no file, no network, no database, and the time is an argument.
"""
