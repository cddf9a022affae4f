"""Where records and nodes of the logs are kept: one number for each. Pure.

A record's place is `number of its log << 40 | seq`: one key, no second index, neighbours stay together. A node's place
has its tile level in between: `number << 40 | level << 36 | index`.
"""

SEQ_BITS = 40  # a log holds 2**40 records
NODE_BITS = 36  # and a level of tiles 2**36 nodes


def record_position(number: int, seq: int) -> int:
    """Return the place of record `seq` of the log with this number."""
    return number << SEQ_BITS | seq


def node_position(number: int, level: int, index: int) -> int:
    """Return the place of node `index` of tile level `level`, which is at least 1."""
    return number << SEQ_BITS | level << NODE_BITS | index
