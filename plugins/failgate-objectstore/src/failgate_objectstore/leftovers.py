"""What ended processes left of multipart uploads: listed and aborted. obstore has no request for either.

Nobody sees such an upload, yet its parts take space and cost money until it is aborted. S3 and Google Cloud Storage,
which keep them for good; Azure removes them after a week by itself.

Sources: Amazon S3 API reference, ListMultipartUploads and AbortMultipartUpload; Google Cloud Storage, XML API multipart
uploads, the same requests.
"""

import html
import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import quote, urlsplit

from failgate.plugin import FailgateError, Host, StorageUnavailable
from failgate_objectstore.google import token_headers
from failgate_objectstore.settings import ObjectStoreSettings
from failgate_objectstore.signature import signed_headers

OLD_SECONDS: Final = 24 * 3600  # another process may still be sending a younger one
LISTED_AT_ONCE: Final = 200
MOST_ROUNDS: Final = 50
_UPLOAD: Final = re.compile(r"<Upload>(.*?)</Upload>", re.DOTALL)
_KEY: Final = re.compile(r"([0-9a-f]{8}-[0-9a-f]{4})-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}", re.ASCII)


class Leftovers:
    """Unfinished uploads in one bucket, below the prefix of ours."""

    def __init__(self, config: ObjectStoreSettings, host: Host) -> None:
        self._config = config
        self._host = host
        path = f"/{config.bucket}" if config.path_style else ""
        self._base = urlsplit(config.service_url + path)
        self._prefix = f"{config.prefix}/" if config.prefix else ""

    async def sweep(self, now_us: int) -> int:
        """Abort every upload of ours whose key was made more than a day before `now_us`; return how many.

        Raises: StorageUnavailable, OutboundRefused.
        """
        removed = 0
        for _ in range(MOST_ROUNDS):
            found = await self._listed("")
            old = [(key, upload) for key, upload in found if _made_us(key) < now_us - OLD_SECONDS * 1_000_000]
            for key, upload in old:
                await self._abort(key, upload)
            removed += len(old)
            if len(old) < LISTED_AT_ONCE:
                break
        return removed

    async def forget(self, key: str) -> None:
        """Abort the uploads of `key`, as far as the store answers; the sweep does the rest."""
        try:
            for found, upload in await self._listed(key):
                await self._abort(found, upload)
        except FailgateError as error:
            self._host.log.warning("objectstore.upload_left", reason=error.slug)

    async def _listed(self, key: str) -> list[tuple[str, str]]:
        """Return up to 200 pairs of key and upload id whose key begins with `key`."""
        query = {"uploads": "", "prefix": self._prefix + key, "max-uploads": str(LISTED_AT_ONCE)}
        return list(_read(await self._ask("GET", "", query), self._prefix))

    async def _abort(self, key: str, upload: str) -> None:
        await self._ask("DELETE", f"/{self._prefix}{key}", {"uploadId": upload})

    async def _ask(self, method: str, path: str, query: dict[str, str]) -> str:
        asked = "&".join(f"{_quoted(name)}={_quoted(value)}" for name, value in sorted(query.items()))
        target = quote(self._base.path + (path or "/"), safe="/-_.~")
        url = f"{self._base.scheme}://{self._base.netloc}{target}?{asked}"
        headers = self._signed(method, target, asked)
        outbound = self._host.outbound
        answer = await (outbound.get if method == "GET" else outbound.delete)(url, headers=headers)
        if answer.status not in {200, 204, 404}:
            raise StorageUnavailable(f"The object store answered {answer.status}.", hint="Its log says why.")
        return answer.body.decode("utf-8", "replace")

    def _signed(self, method: str, target: str, query: str) -> dict[str, str]:
        """Return the headers of a request without body."""
        now_us = self._host.clock.now_us()
        if self._config.kind == "gs":
            signed = token_headers(self._config, now_us)
        else:
            signed = signed_headers(self._config, self._base.netloc, now_us, method, target, query)
        return signed | {"Accept": "application/xml"}


def _read(document: str, prefix: str) -> Iterator[tuple[str, str]]:
    """Yield key and upload id of each upload of ours; names of others are passed over."""
    for upload in _UPLOAD.findall(document):
        name, identifier = (re.search(f"<{tag}>([^<]*)</{tag}>", upload) for tag in ("Key", "UploadId"))
        key = html.unescape(name[1]).removeprefix(prefix) if name else ""
        if identifier and _KEY.fullmatch(key):
            yield key, html.unescape(identifier[1])


def _quoted(text: str) -> str:
    return quote(text, safe="-_.~")


def _made_us(key: str) -> int:
    """Return when a key was made, microseconds since 1970: it is a UUID of version 7."""
    return int(key[:8] + key[9:13], 16) * 1000
