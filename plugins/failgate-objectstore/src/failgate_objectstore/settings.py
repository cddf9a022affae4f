"""What the operator says: where the bucket is, by which credentials, how long a request may take. Pure."""

import re
from typing import Annotated, Final, Literal
from urllib.parse import SplitResult, urlsplit

import msgspec

from failgate.plugin import Between, Duration, RecordFormat, Secret, SettingRefused, Size

SCHEMES: Final = ("s3", "gs", "az")
_BUCKET: Final = re.compile(r"[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]", re.ASCII)
_PREFIX: Final = re.compile(r"[A-Za-z0-9_.-]{1,200}(?:/[A-Za-z0-9_.-]{1,200})*", re.ASCII)
_ACCOUNT: Final = re.compile(r"[a-z0-9]{3,24}", re.ASCII)
_NEEDS: Final = {
    "s3": ("access_key", "secret_key"),
    "gs": ("service_account",),
    "az": ("account", "account_key"),
}
_TAKES: Final = {
    "s3": {"access_key", "secret_key", "session_token"},
    "gs": {"service_account"},
    "az": {"account", "account_key"},
}


class ObjectStoreSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where the objects lie and how they are reached.

    `url` is s3://bucket/prefix, gs://bucket/prefix or az://container/prefix. `endpoint` is the service's address where
    it is not the provider's own. `part` is the size in which large objects are sent; `timeout` bounds each request,
    which is tried `retries` times more. With `lock` it takes the audit log too: objects that nobody deletes for
    `lock_for`.
    """

    url: str
    endpoint: str | None = None
    region: str | None = None
    path_style: bool = True
    access_key: Secret | None = None
    secret_key: Secret | None = None
    session_token: Secret | None = None
    service_account: Secret | None = None
    account: str | None = None
    account_key: Secret | None = None
    part: Annotated[Size, Between("5MiB", "512MiB")] = Size("5MiB")
    lock: Literal["governance", "compliance"] | None = None
    lock_for: Annotated[Duration, Between("1d", "36500d")] | None = None
    format: RecordFormat = "json"
    timeout: Annotated[Duration, Between("1s", "5m")] = Duration("30s")
    retries: Annotated[int, Between(0, 10)] = 3

    def __post_init__(self) -> None:
        """Refuse what names no bucket, or credentials of another kind of store.

        Raises: SettingRefused.
        """
        if self.kind not in SCHEMES or self._split.query or self._split.fragment or self._split.username:
            raise SettingRefused("url", "say s3://bucket/prefix, gs://bucket/prefix or az://container/prefix")
        if _BUCKET.fullmatch(self.bucket) is None:
            raise SettingRefused("url", f"{self.bucket!r} names no bucket")
        if self.prefix and (_PREFIX.fullmatch(self.prefix) is None or ".." in self.prefix):
            raise SettingRefused("url", "the prefix takes letters, digits, dot, hyphen, underscore and slash")
        if self.account is not None and _ACCOUNT.fullmatch(self.account) is None:
            raise SettingRefused("account", "an Azure storage account has 3 to 24 lower-case letters and digits")
        for name in _NEEDS[self.kind]:
            if getattr(self, name) is None:
                raise SettingRefused(name, f"{self.kind}:// needs it")
        for name in sorted(set[str]().union(*_TAKES.values()) - _TAKES[self.kind]):
            if getattr(self, name) is not None:
                raise SettingRefused(name, f"{self.kind}:// does not take it")
        self._check_lock()
        if self.kind == "s3" and self.region is None:
            raise SettingRefused("region", 's3:// needs it; a store of your own mostly takes "us-east-1"')

    def _check_lock(self) -> None:
        if (self.lock is None) != (self.lock_for is None):
            raise SettingRefused("lock_for" if self.lock_for is None else "lock", "lock and lock_for are set together")
        if self.lock is not None and self.kind != "s3":
            raise SettingRefused("lock", "only s3:// locks objects")

    @property
    def lock_mode(self) -> str:
        """Return the mode of object lock as S3 writes it."""
        return (self.lock or "").upper()

    @property
    def _split(self) -> SplitResult:
        return urlsplit(self.url)

    @property
    def kind(self) -> str:
        """Return the scheme of `url`."""
        return self._split.scheme

    @property
    def bucket(self) -> str:
        """Return the bucket or container."""
        return self._split.netloc

    @property
    def prefix(self) -> str:
        """Return the path inside of the bucket, without slashes around it; empty for the whole bucket."""
        return self._split.path.strip("/")

    @property
    def service_url(self) -> str:
        """Return the address that requests go to; the bucket is part of its host without `path_style`."""
        own = {
            "s3": f"https://s3.{self.region}.amazonaws.com",
            "gs": "https://storage.googleapis.com",
            "az": f"https://{self.account}.blob.core.windows.net",
        }
        base = (self.endpoint or own[self.kind]).rstrip("/")
        if self.kind == "s3" and not self.path_style:
            scheme, _, host = base.partition("://")
            return f"{scheme}://{self.bucket}.{host}"
        return base
