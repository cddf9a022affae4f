"""Building the client of each kind of store, with nothing of the environment in it, and trying it once."""

import asyncio
import contextlib
import json
import re
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import BaseError
from obstore.store import AzureStore, GCSStore, S3Store

from failgate.plugin import FailgateError, Host, Secret, SettingRefused, StartRefused
from failgate_objectstore.bucket import BucketStore, Check
from failgate_objectstore.leftovers import Leftovers
from failgate_objectstore.settings import ObjectStoreSettings

if TYPE_CHECKING:
    from obstore.store import ClientConfig, ObjectStore, RetryConfig, S3Credential

CHECKED_FOR_SECONDS: Final = 60.0  # how long a judged address stands before its name is resolved again
SWEEP_SECONDS: Final = 24 * 3600.0
_STATUS: Final = re.compile(r"status code: (\d{3})")


@asynccontextmanager
async def opened_store(config: ObjectStoreSettings, host: Host) -> AsyncGenerator[BucketStore, None]:
    """Open the bucket; what earlier processes left of unfinished uploads is removed meanwhile, once a day.

    Raises: StartRefused (no such bucket, refused credentials, an address that must not be connected to).
    """
    host = replace(host, outbound=host.outbound.naming(urlsplit(config.service_url).hostname or ""))
    check = _check_of(config, host)
    bucket = _bucket_of(config, host)
    leftovers = Leftovers(config, host) if config.kind in {"s3", "gs"} else None
    forget = leftovers.forget if leftovers is not None else _nothing_to_forget
    store = BucketStore(bucket, host.log, part_bytes=config.part.bytes, check=check, forget_parts=forget)
    await _try(config, host, bucket, check)
    sweeping = asyncio.create_task(_sweep_daily(leftovers, host), name="leftovers") if leftovers is not None else None
    try:
        yield store
    finally:
        if sweeping is not None:
            sweeping.cancel()
            await asyncio.wait([sweeping])


def _check_of(config: ObjectStoreSettings, host: Host) -> Check:
    judged_until = 0.0

    async def check() -> None:
        nonlocal judged_until
        if time.monotonic() >= judged_until:
            await host.outbound.check(config.service_url)
            judged_until = time.monotonic() + CHECKED_FOR_SECONDS

    return check


def _bucket_of(config: ObjectStoreSettings, host: Host) -> "ObjectStore":
    url, prefix = config.service_url, config.prefix or None
    timeout = timedelta(seconds=config.timeout.seconds)
    client: ClientConfig = {
        "allow_http": url.startswith("http://"),  # `check` lets it through to a loopback address alone, when told
        "allow_invalid_certificates": False,
        "timeout": timeout,
        "connect_timeout": timedelta(seconds=min(5.0, config.timeout.seconds)),
        "user_agent": "failgate",
        # A proxy that the store is exempt from: without one the client would take that of the environment.
        "proxy_url": "http://127.0.0.1:9",
        "proxy_excludes": urlsplit(url).hostname or "",
    }
    retry: RetryConfig = {
        "max_retries": config.retries,
        "retry_timeout": timeout * (config.retries + 1),
        "backoff": {
            "init_backoff": timedelta(milliseconds=100),
            "max_backoff": timedelta(seconds=2),
            "base": 2,
        },
    }
    try:
        if config.kind == "s3":
            return S3Store(
                config.bucket,
                prefix=prefix,
                config={
                    "endpoint": url,
                    "aws_endpoint_url_s3": url,  # else the environment's would go before it
                    "region": config.region or "us-east-1",
                    "virtual_hosted_style_request": not config.path_style,
                    "skip_signature": False,
                },
                client_options=client,
                retry_config=retry,
                credential_provider=_s3_credentials(config),
            )
        if config.kind == "gs":
            document = json.loads(_revealed(config.service_account))
            if config.endpoint is not None:
                document["gcs_base_url"] = url
            return GCSStore(
                config.bucket,
                prefix=prefix,
                config={"service_account_key": json.dumps(document)},
                client_options=client,
                retry_config=retry,
            )
        return AzureStore(
            config.bucket,
            prefix=prefix,
            config={
                "account_name": config.account or "",
                "account_key": _revealed(config.account_key),
                "endpoint": url,
                "skip_signature": False,
            },
            client_options=client,
            retry_config=retry,
        )
    except (BaseError, ValueError, KeyError) as error:  # their texts may hold parts of a key
        raise StartRefused(
            f"The credentials of {host.name} cannot be used: {type(error).__name__}.",
            hint="See docs/artifacts.md for what each kind of store takes.",
        ) from None


def _s3_credentials(config: ObjectStoreSettings) -> "Callable[[], S3Credential]":
    credential: S3Credential = {
        "access_key_id": _revealed(config.access_key),
        "secret_access_key": _revealed(config.secret_key),
        "token": config.session_token.reveal() if config.session_token is not None else None,
        "expires_at": None,
    }
    return lambda: credential


def _revealed(secret: Secret | None) -> str:
    if secret is None:
        raise SettingRefused("url", "its credentials are missing")  # the settings refuse it before
    return secret.reveal()


async def _try(config: ObjectStoreSettings, host: Host, bucket: "ObjectStore", check: Check) -> None:
    """List one object. What waiting cannot mend refuses the start; a store that is down shows in the health."""
    mend = f"Check url, region, endpoint and credentials in [plugins.{host.name}]."
    try:
        await check()
    except FailgateError as error:
        raise StartRefused(f"The address of {host.name} is refused: {error.sentence}", hint=error.hint) from error
    try:
        async for _ in obstore.list(bucket, chunk_size=1):
            break
    except (BaseError, OSError) as error:
        found = _STATUS.search(str(error))  # a refused listing has no exception of its own
        status = found[1] if found else ""
        if status in {"400", "401", "403"}:
            raise StartRefused(
                f"The bucket {config.bucket} refuses the credentials of {host.name}.", hint=mend
            ) from error
        if status == "404":
            raise StartRefused(f"There is no bucket {config.bucket}.", hint=f"Make it. {mend}") from error
        host.log.warning("objectstore.down", bucket=config.bucket, kind=type(error).__name__)


async def _sweep_daily(leftovers: Leftovers, host: Host) -> None:
    while True:
        with contextlib.suppress(FailgateError):
            removed = await leftovers.sweep(host.clock.now_us())
            host.log.info("objectstore.swept", unfinished_uploads=removed)
        await asyncio.sleep(SWEEP_SECONDS)


async def _nothing_to_forget(key: str) -> None:
    del key  # Azure drops unfinished uploads by itself
