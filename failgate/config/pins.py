"""`[pins]`: which distributions may be loaded as plugins, each by the digest over its files."""

import re
from typing import Annotated

import msgspec

from failgate.config.bounds import Fits
from failgate.config.errors import SettingRefused

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}", re.ASCII)


def check_digest(text: str) -> None:
    """Refuse what is no digest of a distribution. Raises: ValueError."""
    if not _DIGEST.fullmatch(text):
        raise ValueError(
            'takes "sha256:" and 64 hexadecimal digits in lower case, as `failgate plugins --pins` prints it'
        )


def normalized(name: str) -> str:
    """Return the name of a distribution as it is compared.

    Source: Python packaging specifications, "Names and normalization".
    """
    return re.sub(r"[-_.]+", "-", name).lower()


class PinsTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[pins]`: which distributions may be loaded as plugins, each by the digest over its files; without it, any."""

    distributions: dict[str, Annotated[str, Fits(check_digest)]] | None = None

    def __post_init__(self) -> None:
        """Refuse two digests of one distribution.

        Raises: SettingRefused.
        """
        seen: dict[str, str] = {}
        for name in self.distributions or {}:
            other = seen.setdefault(normalized(name), name)
            if other != name:
                raise SettingRefused("distributions", f"{other} and {name} are one distribution: keep one of them")
