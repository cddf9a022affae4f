"""A JUnit XML document, read without DTD, entities or network, becomes one draft: what failed in it."""

from collections.abc import Iterator
from datetime import UTC, datetime
from xml.etree.ElementTree import ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser

from failgate.plugin import Draft, DraftArtifact, Reading, Unprocessable
from failgate_junit.cases import Case, CaseCollector

_CHUNK_BYTES = 64 * 1024
_RULE = "=" * 78


class JunitFormat:
    """A `DocumentFormat`: one report for a document in which something failed, none for another."""

    name = "junit"

    def drafts(self, document: bytes) -> Reading:
        """Return what failed in `document`.

        Raises: Unprocessable (no JUnit XML, broken XML, a DTD, an entity, too deep), naming the place.
        """
        found = _collected(document)
        passed = {
            "passed": found.counts["cases"] - found.counts["failed"] - found.counts["skipped"],
            "skipped": found.counts["skipped"],
        }
        if not found.counts["failed"]:
            return Reading((), passed)
        return Reading((_draft(found),), passed)


def _collected(document: bytes) -> CaseCollector:
    collector = CaseCollector()
    parser = DefusedXMLParser(target=collector, forbid_dtd=True)
    try:
        for at in range(0, len(document), _CHUNK_BYTES):
            parser.feed(document[at : at + _CHUNK_BYTES])
        parser.close()
    except DefusedXmlException as error:
        raise Unprocessable(
            "The document declares a DTD or an entity, which JUnit XML does not need.", hint="Remove the declaration."
        ) from error
    except ParseError as error:
        line, column = error.position
        raise Unprocessable(
            f"The document is no well-formed XML: line {line}, column {column + 1}.",
            hint="Let the test runner write it anew; it may have been cut off.",
        ) from error
    except (ValueError, LookupError) as error:  # an encoding that nobody knows, or one of several bytes a character
        raise Unprocessable("The document's encoding is not known.", hint="Write it in UTF-8.") from error
    return collector


def _draft(found: CaseCollector) -> Draft:
    first = found.cases[0]
    more = f" (and {found.counts['failed'] - 1} more)" if found.counts["failed"] > 1 else ""
    message = _first_line(first)
    text = "\n".join(_lines(found)).encode("utf-8", "replace")
    return Draft(
        source="junit",
        title=f"{_name(first)}{more}: {message}" if message else f"{_name(first)}{more}",
        argv=("junit", found.suite.name) if found.suite.name else ("junit",),
        created_us=_microseconds(found.suite.timestamp),
        duration_ms=round(found.seconds * 1000),
        host=found.suite.host,
        artifacts=(DraftArtifact("failures.txt", "output", "text/plain", text),),
    )


def _lines(found: CaseCollector) -> Iterator[str]:
    counts = found.counts
    yield f"{counts['failed']} of {counts['cases']} cases failed, {counts['skipped']} were skipped"
    for case in found.cases:
        yield from ("", _RULE, _name(case), _RULE)
        facts = [f"time {case.seconds} s" if case.seconds else "", case.place]
        yield "  ".join(fact for fact in facts if fact)
        for problem in case.problems:
            yield f"{problem.word}: {problem.kind + ': ' if problem.kind else ''}{problem.message}".rstrip(": ")
            if problem.details.strip():
                yield problem.details.rstrip()
        for word, output in case.outputs:
            yield from (f"--- {word}", output.rstrip())
    if len(found.cases) < counts["failed"]:
        yield f"[failgate: {counts['failed'] - len(found.cases)} more failing cases left out]"
    for word, output in found.suite_outputs:
        yield from ("", f"--- {word} of the suite", output.rstrip())


def _name(case: Case) -> str:
    return "::".join(part for part in (case.classname, case.name) if part) or "(no name)"


def _first_line(case: Case) -> str:
    problem = case.problems[0]
    return next((line.strip() for line in (problem.message or problem.details).splitlines() if line.strip()), "")


def _microseconds(timestamp: str) -> int | None:
    """Return the time of a suite; one without a zone is taken as UTC, for a document means the same everywhere."""
    try:
        moment = datetime.fromisoformat(timestamp)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        seconds = moment.timestamp()
    except (ValueError, OverflowError):
        return None
    return round(seconds * 1_000_000) if 0 <= seconds < 253_402_300_800 else None
