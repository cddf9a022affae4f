"""A digest on the command line: one of 64 begins with a dash, and is no option for that."""

import re
from typing import Final

import click

_DASHED: Final = re.compile(r"-[A-Za-z0-9_-]{42}", re.ASCII)  # base64url of 32 bytes
_DIGEST: Final = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)


class TakesDigest(click.Command):
    """A command whose argument is a digest, which may stand anywhere among its options."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put digests that begin with a dash behind the options. Raises: click.UsageError."""
        dashed = [word for word in args if _DASHED.fullmatch(word)]
        if dashed and "--" not in args:
            args = [*(word for word in args if word not in dashed), "--", *dashed]
        return super().parse_args(ctx, args)


class DigestType(click.ParamType[str]):
    """SHA-256 in base64url, without padding."""

    name = "digest"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return `value` when it has the form. Raises: click.BadParameter."""
        if _DIGEST.fullmatch(value) is None:
            self.fail(f"{value!r} is no digest: it has 43 characters of A-Z a-z 0-9 - _.", param, ctx)
        return value
