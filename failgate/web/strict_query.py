"""The query of a request as plain values, each once; what is written otherwise holds nothing. Pure."""

from urllib.parse import parse_qsl

_FIELDS = 32
_BYTES = 16_384


def single_values(query: bytes) -> dict[str, str]:
    """Return the fields of `query`; none at all when one stands twice, there are over 32, or it is no UTF-8."""
    if len(query) > _BYTES:
        return {}
    try:
        pairs = parse_qsl(query.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=_FIELDS)
    except ValueError:
        return {}
    fields = dict(pairs)
    return fields if len(fields) == len(pairs) else {}
