"""The gate: command requests, policies, votes, verdicts.

What is right stands in pure modules (`command`, `lifecycle`, `policy`, `journal`, the room `matching`); `gate.py` does
things in order, with a module for each kind of verb.
"""
