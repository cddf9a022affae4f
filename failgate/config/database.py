"""`[database]`: which database, and by which way it is reached."""

from pathlib import Path
from typing import Annotated
from urllib.parse import quote

import msgspec

from failgate.base.secret import Secret
from failgate.config.addresses import check_database_url, has_password, is_way_to_database_open
from failgate.config.bounds import Between, Fits
from failgate.config.errors import SettingRefused
from failgate.config.units import Size


class DatabaseTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The keys of the table; without `url` it is a file in the data folder.

    `password` is asked for at each new connection: what is short-lived is had from where it is renewed.
    """

    url: Annotated[str | Secret, Fits(check_database_url)] | None = None
    password: Secret | None = None
    allow_unencrypted: bool = False
    reserve: Annotated[Size, Between("0B", "1GiB")] = Size("8MiB")

    def __post_init__(self) -> None:
        """Refuse a way to PostgreSQL on which others could read, and a password that nobody would ask for.

        Raises: SettingRefused.
        """
        url = self.url.reveal() if isinstance(self.url, Secret) else self.url
        if self.password is not None:
            _check_password_belongs(url)
        if url is not None and not self.allow_unencrypted and is_way_to_database_open(url):
            raise SettingRefused(
                "url",
                "what is said to a database on another machine could be read on the way: append ?sslmode=verify-full"
                "&sslrootcert=/path/to/authority.pem (or ?sslmode=require, which checks no name), or set "
                "allow_unencrypted = true",
            )

    def url_in(self, data_dir: Path) -> str:
        """Return the URL; without one, of the SQLite file `failgate.sqlite` in `data_dir`."""
        if isinstance(self.url, Secret):
            return self.url.reveal()
        return self.url or f"sqlite://{quote(str(data_dir.absolute() / 'failgate.sqlite'))}"


def _check_password_belongs(url: str | None) -> None:
    if url is None or url.startswith("sqlite:"):
        raise SettingRefused("password", "is for PostgreSQL: name it in url, or leave password out")
    if has_password(url):
        raise SettingRefused("password", "the url has a password too: take it out there")
