"""`failgate web-manifest`: which files the page of sealed commands is made of, and whether a server gives these."""

import os

import click


@click.command("web-manifest")
@click.option(
    "--json", "is_json", is_flag=True, help="Print {digest, version, manifest}; the manifest is what the digest is of."
)
@click.option("--at", "url", metavar="URL", help="Fetch each file from this server and compare it with the one here.")
def web_manifest(url: str | None, *, is_json: bool) -> int:
    """Print the files that the page of sealed commands loads, by their SHA-256, and the digest of that list.

    Exit code 0; with --at 1 when the server gives another file, each of which is named.
    """
    from failgate import __version__
    from failgate.web.bundle import bundle_digest
    from failgate.web.bundle import web_manifest as manifest

    others = [] if url is None else _others(url)
    if is_json:
        from failgate.cli.printing import print_json

        compared = {} if url is None else {"others": others}
        print_json({"digest": bundle_digest(), "version": __version__, "manifest": manifest(), **compared})
        return 1 if others else 0
    for one in manifest()["files"]:
        click.echo(f"{one['sha256']}  {one['path']}{'  ANOTHER ONE THERE' if one['path'] in others else ''}")
    click.echo(f"digest  {bundle_digest()}")
    if url is not None:
        click.echo(f"{len(others)} files are others there." if others else "Every file is the same there.")
    return 1 if others else 0


def _others(url: str) -> list[str]:
    """Return the paths of the files that the server at `url` gives with other bytes. Raises: ClientError."""
    from failgate.client.answer import Strange
    from failgate.client.exits import Refused
    from failgate.client.http import Api
    from failgate.client.settings import load_settings
    from failgate.web.bundle import bundle_files
    from failgate.web.render import static_version

    found: list[str] = []
    with Api(load_settings({**os.environ, "FAILGATE_URL": url}), is_anonymous=True) as api:
        for path, body in bundle_files().items():
            pieces: list[bytes] = []
            try:  # by the address that the page of this version has
                api.get_file(f"/static/{static_version()}/{path}", len(body), pieces.append)
            except (Refused, Strange):
                api.close()  # what is left of another length is not read
                found.append(path)
                continue
            if b"".join(pieces) != body:
                found.append(path)
    return found
