"""The room of end-to-end mode: public keys of devices, signed manifests, sealed commands and signed decisions.

What is believed is said by the relay (`relay.py`, a plugin's); this room keeps it, in one transaction with its record.
Nothing here can open a command, and no agent has to believe a word of it.
"""
