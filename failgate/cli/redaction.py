"""`failgate redact`: a stream of text without its secrets, and what was found in it."""

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from typing import IO, TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from failgate.redaction import Finding, Rule, Scanner

_CHUNK_BYTES = 256 * 1024


@click.command()
@click.option(
    "--findings",
    type=click.Path(allow_dash=True, dir_okay=False),
    help="Write findings as JSON lines {rule, start, end, tag} there; - is stdout, without the text.",
)
@click.option(
    "--findings-format",
    "form",
    type=click.Choice(["jsonl", "sarif"]),
    default="jsonl",
    help="JSON lines, or one SARIF 2.1.0 log.",
)
@click.option("--list-rules", is_flag=True, help="Print every rule and the name of the rule set; read nothing.")
@click.option("--json", "is_json", is_flag=True, help="Print one object {text, findings, rules}.")
@click.argument("file", type=click.Path(allow_dash=True, exists=True, dir_okay=False), default="-")
def redact(file: str, findings: str | None, form: str, is_json: bool, list_rules: bool) -> None:
    """Print FILE (default: standard input) with its secrets replaced. A safety layer, not a guarantee.

    The text streams: memory stays small, and what is printed lags behind what was read by up to 48 KiB.
    """
    from failgate.redaction import RULES, RULES_VERSION

    if list_rules:
        _list_rules(RULES, RULES_VERSION, is_json=is_json)
        return
    if is_json and findings:
        raise click.UsageError("--json holds the findings already. Leave out --findings.")
    from failgate.client.redacting import open_scanner

    scanner = open_scanner(os.environ)
    if is_json:
        with click.open_file(file, "rb") as source:
            _print_object(source.read(), scanner, RULES_VERSION)
        return
    with ExitStack() as stack:
        source = stack.enter_context(click.open_file(file, "rb"))
        target = sys.stdout.buffer if findings != "-" else None
        found = _redacted(source, target, scanner)
        if findings is None:
            for _ in found:
                pass
            return
        record = stack.enter_context(click.open_file(findings, "w", encoding="utf-8"))
        record.writelines(_sarif(found, file) if form == "sarif" else (_line(one) for one in found))


def _redacted(source: IO[bytes], target: IO[bytes] | None, scanner: "Scanner") -> Iterator["Finding"]:
    """Copy `source` to `target` (None: nowhere) without its secrets; yield each finding, offsets in characters."""
    from failgate.redaction import CharacterOffsets, RedactingStream

    stream = RedactingStream(scanner)
    offsets = CharacterOffsets()
    read: Callable[[int], bytes] = getattr(source, "read1", source.read)
    is_ended = False
    while not is_ended:
        chunk = read(_CHUNK_BYTES)
        is_ended = not chunk
        clean = stream.feed(chunk) if chunk else stream.finish()
        if target is not None and clean:
            target.write(clean)
            target.flush()
        offsets.feed(chunk)
        yield from offsets.in_characters(stream.findings)
        stream.findings.clear()
        offsets.forget(stream.offset)


def _print_object(content: bytes, scanner: "Scanner", version: str) -> None:
    from failgate.redaction import redact as redact_text

    result = redact_text(content.decode("utf-8", "surrogateescape"), scanner)
    text = result.text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    click.echo(_json({"text": text, "findings": [one._asdict() for one in result.findings], "rules": version}))


def _list_rules(rules: Iterable["Rule"], version: str, *, is_json: bool) -> None:
    listed = [
        {"id": one.id, "description": one.description, "keywords": one.keywords, "entropy": one.entropy}
        for one in rules
    ]
    from failgate.redaction import installed_engines

    engines = installed_engines()
    if is_json:
        click.echo(_json({"rules": version, "engines": engines, "items": listed}))
        return
    click.echo(version)
    click.echo(f"{'engines':24} {', '.join(engines)} (the more text, the faster the one that is used)")
    for one in listed:
        click.echo(f"{one['id']:24} {one['description']}")


def _line(one: "Finding") -> str:
    return _json(one._asdict()) + "\n"


def _sarif(found: Iterable["Finding"], file: str) -> Iterator[str]:
    """Yield a SARIF 2.1.0 log piece by piece; it holds offsets and tags, and no text of the file.

    Source: OASIS SARIF 2.1.0, sections 3.13 (log), 3.14 (run), 3.27 (result), 3.30 (region, charOffset).
    """
    from pathlib import Path

    from failgate import __version__
    from failgate.redaction import RULES, RULES_VERSION

    described = {one.id: one.description for one in reversed(RULES)}
    described["environment"] = "Value of a sensitive variable of this process"
    driver = {
        "name": "failgate redact",
        "version": __version__,
        "rules": [{"id": name, "shortDescription": {"text": text}} for name, text in sorted(described.items())],
        "properties": {"ruleSet": RULES_VERSION},
    }
    where = "stdin" if file == "-" else Path(file).absolute().as_uri()
    head = _json({"tool": {"driver": driver}, "columnKind": "unicodeCodePoints"})[:-1]
    yield '{"$schema": "https://json.schemastore.org/sarif-2.1.0.json", "version": "2.1.0", "runs": ['
    yield head + ', "results": ['
    before = "\n"
    for one in found:
        yield before + _json(_result(one, where, described))
        before = ",\n"
    yield "\n]}]}\n"


def _result(one: "Finding", where: str, described: dict[str, str]) -> dict[str, Any]:
    region = {"charOffset": one.start, "charLength": one.end - one.start}
    return {
        "ruleId": one.rule,
        "level": "error",
        "message": {"text": f"{described.get(one.rule, one.rule)}: {one.tag}"},
        "locations": [{"physicalLocation": {"artifactLocation": {"uri": where}, "region": region}}],
        "partialFingerprints": {"tag/v1": one.tag},
    }


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
