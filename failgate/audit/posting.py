"""A batch of records as an HTTP POST: what the other side's answer means. For exporters that speak HTTP.

The way out is `base/outbound.py`: no redirect is followed, no address of a private network is connected to unless the
operator opened it.
"""

from collections.abc import Mapping
from typing import Final

from failgate.audit.exporter import ExportFailed, RecordsRefused
from failgate.base.destination import OutboundRefused
from failgate.base.outbound import Answer, Outbound

ANSWER_BYTES: Final = 65_536
# What is said of the records, and will be said of them again. Not 401, 403 or 404: those are about us or the address.
REFUSING: Final = frozenset({400, 413, 415, 422})


async def post_records(
    outbound: Outbound, url: str, content: bytes, headers: Mapping[str, str], *, seconds: float
) -> Answer:
    """POST `content`; return the answer when it says that it was taken (2xx) within `seconds`.

    Raises: RecordsRefused (400, 413, 415, 422); ExportFailed (everything else, without a word of the other side's).
    """
    try:
        answer = await outbound.post(url, content, headers=headers, max_bytes=ANSWER_BYTES, seconds=seconds)
    except OutboundRefused as refused:
        raise ExportFailed(refused.sentence, hint=refused.hint) from None
    if 200 <= answer.status < 300:
        return answer
    sentence = f"The other side answers {answer.status}."
    if answer.status in REFUSING:
        raise RecordsRefused(sentence)
    if answer.status in {401, 403}:
        raise ExportFailed(f"{sentence} Check the credential.")
    if 300 <= answer.status < 400:
        raise ExportFailed(f"{sentence} Redirects are not followed.")
    raise ExportFailed(sentence, retry_after_seconds=answer.retry_after_seconds)
