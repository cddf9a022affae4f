"""Client certificates of agents, as the API takes and answers them."""

from typing import Literal

import msgspec


class NewCertificate(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """`POST certificates`: certificates with the subject alternative name `san` are the agent of the id `agent`."""

    agent: str
    san: str


class CertificateView(msgspec.Struct, frozen=True):
    """A name that stands for an agent; `san` without its kind."""

    id: str
    agent: str
    agent_name: str
    kind: Literal["uri", "dns", "email"]
    san: str
    created_at: str


class CertificatePage(msgspec.Struct, frozen=True):
    """`GET certificates`: all of them, so that `next` is null."""

    items: list[CertificateView]
    next: str | None = None
