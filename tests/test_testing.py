"""The contract suites against our own plugins, and against broken ones: a suite that nothing fails proves nothing."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from failgate_allowlist import plugin as allowlist
from failgate_capture import plugin as capture
from failgate_filesystem import plugin as filesystem
from failgate_quorum import plugin as quorum

from failgate.base.errors import NotFound
from failgate.config.errors import ConfigRefused
from failgate.plugin import CommandContext, ExportedRecord, Finding, Plugin
from failgate.testing import (
    ExporterContract,
    FormatContract,
    PolicyContract,
    StoreContract,
    command,
    exported,
    host_at,
    opened,
    settings_from,
)
from failgate.wire.reports import EnvironmentSummary, GitState, Manifest, ManifestArtifact, Redaction

CONTEXT = CommandContext("w", "a", "r", 1_700_000_000_000_000)


class TestTheFilesystemStore(StoreContract):
    @pytest.fixture
    async def store(self, tmp_path: Path):
        settings = settings_from(filesystem, 'reserve = "1KiB"')
        async with opened(filesystem, settings, host_at(tmp_path)) as provides:
            yield provides.artifact_store


class TestTheQuorum(PolicyContract):
    @pytest.fixture
    async def policy(self, tmp_path: Path):
        async with opened(quorum, settings_from(quorum, "need = 2"), host_at(tmp_path)) as provides:
            yield provides.approval_policy


class TestTheAllowlist(PolicyContract):
    @pytest.fixture
    async def policy(self, tmp_path: Path):
        async with opened(allowlist, settings_from(allowlist, ""), host_at(tmp_path)) as provides:
            yield provides.approval_policy


class TestTheCaptureFormat(FormatContract):
    @pytest.fixture
    async def report_format(self, tmp_path: Path):
        async with opened(capture, settings_from(capture, ""), host_at(tmp_path)) as provides:
            [only] = provides.report_formats
            yield only

    @pytest.fixture
    def documents(self) -> Sequence[dict[str, Any]]:
        environment = EnvironmentSummary(names=["PATH"], values={}, platform="Linux")
        artifact = ManifestArtifact("output", "output", "text/plain", 3, "0" * 64)
        plain = Manifest(
            v=1,
            id="0190a000-0000-7000-8000-000000000000",
            created_at="2024-01-15T12:00:00Z",
            argv=["pytest", "-q"],
            cwd="/srv/app",
            host="build-1",
            exit_code=1,
            duration_ms=1200,
            environment=environment,
            artifacts=[artifact],
            redactions=[Redaction("pem", "output", 1)],
            redaction_rules="1",
            git=GitState("0" * 40, "main", is_dirty=False, changed_files=0),
        )
        return [msgspec.to_builtins(plain), msgspec.to_builtins(msgspec.structs.replace(plain, signal=11, git=None))]


class CarelessStore:
    """Keeps objects in memory and gets wrong what `fault` names."""

    def __init__(self, fault: str) -> None:
        self.fault = fault
        self.objects: dict[str, bytes] = {}

    @asynccontextmanager
    async def put(self, key: str) -> AsyncIterator[Any]:
        store, chunks = self, []

        class Incoming:
            async def write(self, chunk: bytes) -> None:
                chunks.append(chunk)
                if store.fault == "visible early":
                    store.objects[key] = b"".join(chunks)

            async def commit(self) -> None:
                store.objects[key] = b"".join(chunks)

        try:
            yield Incoming()
        except ZeroDivisionError:
            if self.fault != "swallows":
                raise
        finally:
            if self.fault == "keeps partial":
                self.objects[key] = b"".join(chunks)

    async def open(self, key: str, start: int = 0, stop: int | None = None) -> AsyncIterator[bytes]:
        if key not in self.objects:
            raise NotFound("nothing")
        end = None if stop is None else stop + (self.fault == "off by one")
        yield self.objects[key][start:end]

    async def size(self, key: str) -> int:
        if key not in self.objects:
            raise KeyError(key) if self.fault == "raises its own" else NotFound("nothing")
        return len(self.objects[key])

    async def unlink(self, key: str) -> bool:
        gone = self.objects.pop(key, None) is not None
        return True if self.fault == "always true" else gone

    async def keys(self) -> AsyncIterator[str]:
        for key in list(self.objects):
            yield key


STORE = StoreContract()


@pytest.mark.parametrize(
    ("fault", "caught_by"),
    [
        ("visible early", STORE.test_nothing_is_visible_before_the_commit),
        ("visible early", STORE.test_leaving_without_commit_leaves_nothing),
        ("keeps partial", STORE.test_a_cancelled_writer_leaves_nothing),
        ("keeps partial", STORE.test_leaving_without_commit_leaves_nothing),
        ("swallows", STORE.test_an_error_while_writing_leaves_nothing_and_is_not_swallowed),
        ("raises its own", STORE.test_what_is_absent_is_not_found),
        ("always true", STORE.test_an_unlinked_object_is_gone),
        ("overwrites", STORE.test_a_visible_object_is_never_overwritten),
        ("one large piece", STORE.test_an_object_of_several_megabytes_arrives_in_pieces),
    ],
)
async def test_a_careless_store_fails_the_contract(fault: str, caught_by: Callable[..., Any]) -> None:
    with pytest.raises((AssertionError, KeyError, pytest.fail.Exception)):
        await caught_by(CarelessStore(fault))


async def test_a_store_that_miscounts_ranges_fails_the_contract() -> None:
    await STORE.test_a_range_has_exactly_its_bytes(CarelessStore(""), 3, 7)
    with pytest.raises(AssertionError):
        await STORE.test_a_range_has_exactly_its_bytes(CarelessStore("off by one"), 3, 7)


async def test_a_store_that_takes_any_key_fails_the_contract() -> None:
    with pytest.raises(pytest.fail.Exception):
        await STORE.test_a_text_that_is_no_key_reaches_nothing(CarelessStore(""), "../etc")


class CarelessPolicy:
    """Says what `answers` give, one after the other."""

    def __init__(self, *answers: Finding) -> None:
        self.answers = itertools.cycle(answers)
        self.count = 0

    async def judge(self, command: object, context: object) -> Finding:
        self.count += 1
        return next(self.answers)

    def snapshot(self, workspace_id: str) -> dict[str, object]:
        return {"count": self.count}


class SlowPolicy(CarelessPolicy):
    async def judge(self, command: object, context: object) -> Finding:
        await asyncio.Event().wait()
        raise AssertionError


POLICY = PolicyContract()
ALLOW = Finding("allow", "all is well")


@pytest.mark.parametrize(
    "finding",
    [
        Finding("allow", ""),
        Finding("allow", "two\nlines"),
        Finding("allow", "x" * 501),
        Finding("allow", "need without ask", need=1),
        Finding("ask", "ask without need"),
        Finding("maybe", "no such answer"),
        "allow",
    ],
)
async def test_a_finding_that_nobody_can_read_fails_the_contract(finding: Any) -> None:
    with pytest.raises(AssertionError):
        await POLICY.test_it_answers_a_finding_that_people_can_read(CarelessPolicy(finding), command(), CONTEXT)


async def test_a_careless_policy_fails_the_contract() -> None:
    with pytest.raises(AssertionError):
        await POLICY.test_odd_input_is_never_allowed_and_never_raises(CarelessPolicy(ALLOW), CONTEXT, "a NUL")
    with pytest.raises(AssertionError):
        await POLICY.test_the_same_command_gets_the_same_finding(CarelessPolicy(ALLOW), command(), CONTEXT)
    changing = CarelessPolicy(ALLOW, Finding("deny", "by chance"))
    with pytest.raises(AssertionError):
        await POLICY.test_judging_at_the_same_time_gives_the_same_finding(changing, command(), CONTEXT)


async def test_a_silent_policy_fails_the_contract() -> None:
    contract = PolicyContract()
    contract.seconds_to_answer = 0.01
    with pytest.raises(TimeoutError):
        await contract.test_odd_input_is_never_allowed_and_never_raises(SlowPolicy(ALLOW), CONTEXT, "a NUL")


class CarelessExporter:
    """Keeps what it gets in a list, and gets wrong what `fault` names."""

    def __init__(self, fault: str, kept: list[ExportedRecord]) -> None:
        self.fault = fault
        self.kept = kept

    async def deliver(self, batch: Sequence[ExportedRecord]) -> None:
        known = max((each.seq for each in self.kept), default=-1)
        if self.fault == "one counter for all logs":
            batch = [each for each in batch if each.seq > known]
        if self.fault == "drops the last":
            batch = batch[:-1]
        if self.fault == "writes it anew":
            batch = [
                ExportedRecord(each.log, each.seq, each.leaf.decode("ascii", "replace").encode()) for each in batch
            ]
        self.kept.extend(reversed(batch) if self.fault == "backwards" else batch)


EXPORTER = ExporterContract()


@pytest.mark.parametrize(
    ("fault", "caught_by"),
    [
        ("drops the last", EXPORTER.test_records_arrive_in_order_and_byte_for_byte),
        ("writes it anew", EXPORTER.test_records_arrive_in_order_and_byte_for_byte),
        ("backwards", EXPORTER.test_a_batch_that_comes_again_loses_nothing_and_keeps_the_order),
        ("one counter for all logs", EXPORTER.test_logs_are_kept_apart),
    ],
)
async def test_a_careless_exporter_fails_the_contract(fault: str, caught_by: Callable[..., Any]) -> None:
    async def run(fault: str) -> None:
        kept: list[ExportedRecord] = []

        @asynccontextmanager
        async def open_exporter() -> AsyncIterator[CarelessExporter]:
            yield CarelessExporter(fault, kept)

        async def read_delivered() -> Sequence[ExportedRecord]:
            return kept

        await caught_by(open_exporter, read_delivered)

    await run("")
    with pytest.raises(AssertionError):
        await run(fault)


async def test_a_target_that_promises_one_copy_keeps_one() -> None:
    kept: list[ExportedRecord] = []

    class Promising(ExporterContract):
        keeps_one_copy = True

    @asynccontextmanager
    async def open_exporter() -> AsyncIterator[CarelessExporter]:
        yield CarelessExporter("", kept)

    async def read_delivered() -> Sequence[ExportedRecord]:
        return kept

    with pytest.raises(AssertionError):
        await Promising().test_a_batch_that_comes_again_loses_nothing_and_keeps_the_order(open_exporter, read_delivered)


class CarelessFormat:
    name = "two words"

    def read(self, document: dict[str, Any]) -> Any:
        return document["v"]

    def title(self, manifest: Any) -> str:
        return "line\nline"


async def test_a_careless_format_fails_the_contract() -> None:
    contract = FormatContract()
    with pytest.raises(AssertionError):
        await contract.test_its_name_can_stand_in_a_request(CarelessFormat())
    with pytest.raises(AssertionError):
        await contract.test_a_document_gives_one_manifest(CarelessFormat(), [{"v": 1}])
    with pytest.raises(KeyError):
        await contract.test_a_document_with_a_missing_or_spoilt_member_is_unprocessable_or_read(
            CarelessFormat(), [{"v": 1}]
        )
    with pytest.raises(KeyError):
        await contract.test_an_empty_document_is_unprocessable(CarelessFormat())


def test_settings_are_read_as_the_server_reads_them() -> None:
    assert settings_from(quorum, "need = 3").need == 3
    with pytest.raises(ConfigRefused, match=r"quorum\.toml:1: nead: no such setting") as caught:
        settings_from(quorum, "nead = 3")
    assert 'did you mean "need"?' in str(caught.value)


async def test_opening_something_that_provides_nothing_fails(tmp_path: Path) -> None:
    @asynccontextmanager
    async def open_nothing(config: object, host: object) -> AsyncIterator[Any]:
        yield None

    plugin: Any = Plugin(name="nothing", config=quorum.config, open=open_nothing)
    with pytest.raises(AssertionError, match="must yield Provides"):
        async with opened(plugin, quorum.config(), host_at(tmp_path)):
            pass


def test_exported_records_are_what_a_follower_hands_over() -> None:
    records = exported(3, 6, log="w")
    assert [(each.log, each.seq) for each in records] == [("w", 3), ("w", 4), ("w", 5)]
    assert all(b"\n" not in each.leaf for each in records)
