"""A notification as an HTTP POST: what the other side's answer means. For notifiers that speak to URLs.

The way out is `base/outbound.py`: no redirect is followed, no address of a private network is connected to.
"""

from collections.abc import Mapping

from failgate.base.destination import OutboundRefused
from failgate.base.outbound import Answer, Outbound
from failgate.notify.notifier import DeliveryFailed

ANSWER_BYTES = 65_536
SECONDS = 15.0  # Standard Webhooks, "Deliverability and reliability": 15 to 30


async def post_to(outbound: Outbound, url: str, content: bytes, headers: Mapping[str, str]) -> Answer:
    """POST `content`; return the answer when it says that it was taken (2xx).

    Raises: DeliveryFailed, without a word of the other side's: the address may not be reached, no answer, another
    status. 410 says that the address is gone for good; 429 and 503 may say when to come back.
    """
    try:
        answer = await outbound.post(url, content, headers=headers, max_bytes=ANSWER_BYTES, seconds=SECONDS)
    except OutboundRefused as refused:
        raise DeliveryFailed(refused.sentence) from None
    if 200 <= answer.status < 300:
        return answer
    if answer.status == 410:
        raise DeliveryFailed("The other side answers 410: it is gone for good.", is_gone=True)
    if 300 <= answer.status < 400:
        raise DeliveryFailed(f"The other side answers {answer.status}: redirects are not followed.")
    raise DeliveryFailed(f"The other side answers {answer.status}.", retry_after_seconds=answer.retry_after_seconds)
