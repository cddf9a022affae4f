"""`[keys]`: the keys of the installation that a secrets manager keeps."""

from typing import Annotated

import msgspec

from failgate.base.secret import Secret, key_of
from failgate.config.bounds import Fits
from failgate.config.errors import SettingRefused


class KeysTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[keys]`: keys of the installation that a secrets manager keeps in place of files in the data folder."""

    sealing: Annotated[Secret, Fits(key_of)] | None = None
    previous_sealing: Annotated[Secret, Fits(key_of)] | None = None
    log: Annotated[Secret, Fits(key_of)] | None = None
    previous_log: Annotated[Secret, Fits(key_of)] | None = None

    def __post_init__(self) -> None:
        """Refuse a key before one that is not there.

        Raises: SettingRefused.
        """
        for name in ("sealing", "log"):
            if getattr(self, f"previous_{name}") is not None and getattr(self, name) is None:
                raise SettingRefused(f"previous_{name}", f"is the key before {name}, which is not set")
