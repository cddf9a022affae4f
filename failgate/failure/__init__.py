"""A failure read: the text without escapes, the error that decided, its fingerprint, the diff, what an agent is told.

Pure: it takes a manifest and bytes, and knows no file, no network and no clock. Client and server read with it alike.
"""
