"""What the pages of the review show. Pure."""

from dataclasses import dataclass

from failgate.client.consent import Destination
from failgate.client.progress import size_text
from failgate.client.report_folder import LocalReport, uploaded_to
from failgate.client.reviewing import Item, Review
from failgate.client.words import BY_HAND, Words
from failgate.web.loopback.desk import Said
from failgate.web.loopback.preview import Preview, Shown, shown
from failgate.web.pages.text import duration
from failgate.web.pages.token_view import Text, texts
from failgate.web.playback import Playback
from failgate.wire.reports import Manifest


@dataclass(frozen=True, slots=True)
class ItemLine:
    """An artifact in the list."""

    number: int
    name: tuple[Shown, ...]
    plain_name: str
    kind: str
    size: str
    findings: tuple[tuple[str, int], ...]
    places: int
    is_in: bool
    is_seen: bool
    is_lost: bool
    is_open: bool


@dataclass(frozen=True, slots=True)
class Fact:
    """A member of the manifest: what leaves beside the artifacts."""

    name: str
    parts: tuple[Shown, ...]


@dataclass(frozen=True, slots=True)
class WordLine:
    """A word or a pattern that will be replaced."""

    text: str
    parts: tuple[Shown, ...]
    is_pattern: bool


@dataclass(frozen=True, slots=True)
class Sums:
    """What would leave, in words."""

    artifacts: str
    size: str
    findings: str
    by_hand: str


@dataclass(frozen=True, slots=True)
class ReviewView:
    """The page of the review."""

    place: str
    id: str
    argv: tuple[tuple[Text, ...], ...]
    exit_code: int
    duration: str
    items: tuple[ItemLine, ...]
    open: ItemLine | None
    preview: Preview | None
    playback: Playback | None
    words: tuple[WordLine, ...]
    facts: tuple[Fact, ...]
    sums: Sums
    is_counted: bool
    may_undo: bool
    is_changed: bool
    said: Said | None
    uploaded: str | None


@dataclass(frozen=True, slots=True)
class LeftLine:
    """What stays behind, and why."""

    name: str
    why: str


@dataclass(frozen=True, slots=True)
class ConsentView:
    """The question: where to, what, how much, and the digest that stands for all of it."""

    place: str
    id: str
    argv: tuple[tuple[Text, ...], ...]
    destination: Destination | None
    missing: Said | None
    items: tuple[ItemLine, ...]
    left_out: tuple[LeftLine, ...]
    by_hand: int
    sums: Sums
    digest: str
    said: Said | None
    uploaded: str | None


@dataclass(frozen=True, slots=True)
class SendingView:
    """How far the upload is, or how it ended."""

    place: str
    phase: str
    sent: int
    total: int
    about: str
    note: str
    page: str
    notice: tuple[str, ...]
    error: Said | None
    id: str


def review_view(
    review: Review, place: str, item: Item | None, preview: Preview | None, playback: Playback | None, said: Said | None
) -> ReviewView:
    """Return the page on which `item` is open."""
    manifest, items = review.report.manifest, review.items()
    lines = tuple(_item(one, is_open=item is not None and one.number == item.number) for one in items)
    changes, cleaning = review.changes, review.words()
    words = [WordLine(one, shown(one), is_pattern=False) for one in changes.literals]
    words += [WordLine(one, shown(one), is_pattern=True) for one in changes.patterns]
    return ReviewView(
        place=place,
        id=manifest.id,
        argv=tuple(texts(_cleaned(token, cleaning)) for token in manifest.argv),
        exit_code=manifest.exit_code,
        duration=duration(manifest.duration_ms),
        items=lines,
        open=next((one for one in lines if one.is_open), None),
        preview=preview,
        playback=playback,
        words=tuple(words),
        facts=_facts(manifest, cleaning),
        sums=sums_of(review),
        is_counted=review.outlook() is not None,
        may_undo=review.may_undo,
        is_changed=not changes.is_nothing,
        said=said,
        uploaded=_uploaded(review.report),
    )


def consent_view(
    review: Review, place: str, destination: Destination | None, missing: Said | None, said: Said | None
) -> ConsentView:
    """Return the question about the report as it is on disk now."""
    manifest = review.report.manifest
    return ConsentView(
        place=place,
        id=manifest.id,
        argv=tuple(texts(token) for token in manifest.argv),
        destination=destination,
        missing=missing,
        items=tuple(_item(one) for one in review.items()),
        left_out=tuple(LeftLine(one.path, one.reason) for one in manifest.noted_files),
        by_hand=sum(one.count for one in manifest.redactions if one.rule == BY_HAND),
        sums=sums_of(review),
        digest=review.report.manifest_sha256,
        said=said,
        uploaded=_uploaded(review.report),
    )


def sums_of(review: Review) -> Sums:
    """Return what would leave as it was decided so far."""
    totals, every = review.totals(), len(review.report.manifest.artifacts)
    hand = [_counted(totals.words, "word"), *([_counted(totals.patterns, "pattern")] if totals.patterns else [])]
    return Sums(
        artifacts=f"{totals.artifacts} of {_counted(every, 'artifact')}",
        size=size_text(totals.size_bytes),
        findings=_counted(totals.findings, "finding"),
        by_hand=" and ".join(hand) if totals.words or totals.patterns else "nothing",
    )


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _item(item: Item, *, is_open: bool = False) -> ItemLine:
    artifact = item.artifact
    return ItemLine(
        number=item.number,
        name=shown(artifact.name),
        plain_name=artifact.name,
        kind=artifact.kind,
        size=size_text(artifact.size_bytes),
        findings=tuple(sorted(item.findings.items())),
        places=item.places or 0,
        is_in=item.is_in,
        is_seen=item.is_seen,
        is_lost=item.is_lost,
        is_open=is_open,
    )


def _facts(manifest: Manifest, words: Words) -> tuple[Fact, ...]:
    """Return the members of the manifest that a person may want to read, as they would leave."""
    values = manifest.environment.values
    rows = [("Command", " ".join(manifest.argv)), ("Folder", manifest.cwd), ("Machine", manifest.host)]
    rows += [("Title", manifest.title or ""), ("Project", " ".join(filter(None, (manifest.project, manifest.version))))]
    if manifest.git is not None:
        rows += [("Branch", manifest.git.branch or "no branch"), ("Commit", manifest.git.head or "no commit yet")]
        rows += [("Changed", one.path) for one in manifest.git.status]
    rows += [("Platform", manifest.environment.platform)]
    rows += [("Tool", f"{one.name} {one.version}") for one in manifest.tools]
    rows += [(name, value) for name, value in sorted(values.items())]
    if names := [name for name in manifest.environment.names if name not in values]:
        rows += [("Names of variables", " ".join(names))]
    return tuple(Fact(name, shown(_cleaned(text, words))) for name, text in rows if text)


def _cleaned(text: str, words: Words) -> str:
    return words.clean_text(text, lambda _: None) if words.has_any else text


def _uploaded(report: LocalReport) -> str | None:
    sent = uploaded_to(report)
    return f"{sent.get('at', '')[:16].replace('T', ' ')} UTC to {sent.get('url', '')}" if sent else None
