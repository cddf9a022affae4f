"""A SARIF 2.1.0 log, strictly read, becomes one draft for each run in which something failed.

Memory and time follow the document: its size and the number of its values are bounded, what is not needed is never
built, and what is written of it is bounded again (`report.py`). Nothing is fetched: neither files that a run names nor
a schema.
"""

import codecs
import json
import re
from collections import Counter
from dataclasses import replace
from typing import NoReturn

import msgspec

from failgate.plugin import Draft, Reading, TooLarge, Unprocessable
from failgate_sarif.objects import Log, Run, Version
from failgate_sarif.report import draft_of

LARGEST_BYTES = 64 * 1024 * 1024
MOST_VALUES = 2_000_000
MOST_RUNS = 100
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_PLACE = re.compile(r"at `(\$[^`]*)`$")
_ANEW = "Let the tool write it anew; it may have been cut off or edited."


class SarifFormat:
    """A `DocumentFormat`: a report for each run with a failing result, or whose tool failed."""

    name = "sarif"

    def drafts(self, document: bytes) -> Reading:
        """Return what failed in `document`.

        Raises: Unprocessable (no SARIF 2.1.0 in UTF-8, a member twice, parts in other files), TooLarge.
        """
        runs = _runs(document)
        for number, run in enumerate(runs):
            _refuse_other_files(run, number)
        passed: Counter[str] = Counter()
        drafts: list[Draft] = []
        for run in runs:
            draft = draft_of(run, passed)
            if draft is not None:
                is_taken = any(draft.id == other.id for other in drafts)  # a guid belongs to one run alone
                drafts.append(replace(draft, id=None) if is_taken else draft)
        return Reading(tuple(drafts), dict(passed))


def _runs(document: bytes) -> list[Run]:
    content = _utf8(document)
    if len(content) > LARGEST_BYTES or sum(map(content.count, (b",", b"{", b"["))) > MOST_VALUES:
        raise TooLarge(
            f"The SARIF log is larger than {LARGEST_BYTES} bytes or holds more than {MOST_VALUES} values.",
            hint="Split it by run, or leave results out that nobody waits for.",
        )
    _refuse_no_json(content)
    try:
        version = msgspec.json.decode(content, type=Version).version
        if version != "2.1.0":
            named = f"version {version[:20]!a}" if version else "no version"
            raise Unprocessable(f"The document names {named}.", hint="SARIF 2.1.0 is read: let the tool write that.")
        runs = msgspec.json.decode(content, type=Log).runs or []
    except msgspec.ValidationError as error:
        found = _PLACE.search(str(error))
        where = found[1][:200] if found else "$"
        raise Unprocessable(
            f"The document is no SARIF 2.1.0 log: {where} is missing something or of another type.",
            hint="Validate it against the schema of SARIF 2.1.0; the path begins at the document.",
        ) from None
    except (msgspec.DecodeError, RecursionError) as error:
        raise Unprocessable("The document is no JSON that can be read.", hint=_ANEW) from error
    if len(runs) > MOST_RUNS:
        raise TooLarge(f"The SARIF log holds {len(runs)} runs.", hint=f"At most {MOST_RUNS} are read: split it.")
    return runs


def _utf8(document: bytes) -> bytes:
    """Return the document without a byte order mark. Source: 3.1 (UTF-8), RFC 8259 section 8.1 (the mark)."""
    if document.startswith(_UTF16) or b"\0" in document[:4]:
        raise Unprocessable(
            "The document is in UTF-16 or UTF-32, and SARIF is in UTF-8.",
            hint="Convert it: iconv -f UTF-16 -t UTF-8. PowerShell writes UTF-16 by `>`: use Out-File -Encoding utf8.",
        )
    return document.removeprefix(codecs.BOM_UTF8)


def _refuse_no_json(content: bytes) -> None:
    """Refuse what is no JSON, or has a member twice: readers disagree on which one counts. Nothing of it is kept."""
    try:
        json.loads(
            content.decode(), object_pairs_hook=_once, parse_int=len, parse_float=len, parse_constant=_no_constant
        )
    except UnicodeDecodeError as error:
        raise Unprocessable(f"The document is no UTF-8 at byte {error.start}.", hint="Write it in UTF-8.") from error
    except json.JSONDecodeError as error:
        raise Unprocessable(
            f"The document is no JSON: line {error.lineno}, column {error.colno}.", hint=_ANEW
        ) from error
    except RecursionError as error:
        raise Unprocessable("The document is nested too deep.", hint="No SARIF log nests so deep.") from error


def _once(pairs: list[tuple[str, object]]) -> None:
    if len({name for name, _ in pairs}) != len(pairs):
        twice = Counter(name for name, _ in pairs).most_common(1)[0][0]
        raise Unprocessable(
            f"The document has the member {twice[:60]!a} twice in one object.", hint="Leave one of them out."
        )


def _no_constant(text: str) -> NoReturn:
    raise Unprocessable(f"The document holds {text}, which is no number of JSON.", hint=_ANEW)


def _refuse_other_files(run: Run, number: int) -> None:
    """Refuse a run of which parts are elsewhere: it could be failing there. Source: 3.15."""
    if run.external_property_file_references:
        names = ", ".join(sorted(run.external_property_file_references))[:100]
        raise Unprocessable(
            f"Run {number + 1} of the document keeps parts of itself in other files: {names!a}.",
            hint="Let the tool write one file; external property files are not read.",
        )
