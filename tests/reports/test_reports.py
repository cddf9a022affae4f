"""Reports begun, filled, sealed, quarantined, deleted. F2 F3 F17 F18 F19 F20."""

import asyncio
import os

import msgspec
import pytest

from failgate.base.errors import Conflict, Forbidden, NotFound, StorageUnavailable, TooLarge, Unprocessable
from failgate.base.idempotency import request_key
from failgate.base.ids import new_id
from failgate.wire.reports import BeginReport, Consent

from .conftest import SECRET, Room, agent, chunks, consented, entry, manifest, sha256, user

OUTPUT = b"E   assert 3 == 4\n" * 100


async def test_a_report_without_artifacts_is_sealed_in_one_request(room: Room):
    begun = await room.begin(user())
    assert (begun.state, begun.missing) == ("sealed", [])
    assert await room.acts() == ["report.sealed"]


async def test_the_report_of_a_run_is_told_and_found_once_it_is_sealed(room: Room):
    by, command_id = agent(), new_id()
    room.commands[room.workspace_id, command_id] = by.id
    request = consented(manifest(entry(OUTPUT)), command_id=command_id)
    begun = await room.reports.begin(by, room.workspace_id, request)
    assert (room.told, await room.reports.of_command(room.workspace_id, command_id)) == ([], None)
    await room.put(by, begun.id, OUTPUT)
    await room.reports.seal(by, room.workspace_id, begun.id)
    assert room.told == [(room.workspace_id, command_id)]
    assert await room.reports.of_command(room.workspace_id, command_id) == begun.id
    assert await room.reports.of_command(new_id(), command_id) is None
    at_once = await room.reports.begin(by, room.workspace_id, consented(manifest(), command_id=command_id))
    assert (len(room.told), await room.reports.of_command(room.workspace_id, command_id)) == (2, at_once.id)


async def test_a_report_is_begun_filled_and_sealed(room: Room):
    by = agent()
    begun = await room.begin(by, entry(OUTPUT), entry(b"+x", "changes.diff", "diff"), entry(OUTPUT, "again.txt"))
    assert (begun.state, begun.missing) == ("begun", [sha256(OUTPUT), sha256(b"+x")])
    assert (await room.put(by, begun.id, OUTPUT)).missing == [sha256(b"+x")]
    assert (await room.put(by, begun.id, b"+x")).missing == []
    sealed = await room.reports.seal(by, room.workspace_id, begun.id)
    assert sealed.state == "sealed"
    assert [one.is_present for one in sealed.artifacts] == [True, True, True]
    assert sealed.title == "pytest -q · exit 1"
    assert sealed.uploaded_by == "build bot"
    assert await room.acts() == ["report.begun", "report.sealed"]
    facts = (await room.last())["data"]
    assert facts == {"manifest": sealed.manifest_sha256, "artifacts": 3, "size_bytes": len(OUTPUT) + 2}


async def test_known_artifacts_are_not_asked_for_again(room: Room):
    await room.sealed(user(), OUTPUT)
    again = await room.begin(user(), entry(OUTPUT))
    assert (again.state, again.missing) == ("sealed", [])
    assert len(room.objects()) == 1


async def test_an_upload_without_consent_is_refused(room: Room):
    with pytest.raises(Forbidden, match="consent"):
        await room.reports.begin(user(), room.workspace_id, BeginReport(manifest=manifest()))
    assert await room.acts() == []


async def test_consent_over_another_manifest_is_refused(room: Room):
    reviewed = manifest()
    request = consented(reviewed)
    swapped = msgspec.structs.replace(request, manifest={**reviewed, "cwd": "/other"})
    with pytest.raises(Unprocessable, match="another manifest"):
        await room.reports.begin(user(), room.workspace_id, swapped)
    assert (await room.reports.page(user(), room.workspace_id)).items == []


async def test_consent_has_a_time(room: Room):
    request = consented(manifest())
    assert request.consent
    for at in ("", "now", "2026-01-02T03:04:05Z\n"):
        consent = Consent(request.consent.manifest_sha256, "person", at)
        with pytest.raises(Unprocessable, match="time"):
            await room.reports.begin(user(), room.workspace_id, msgspec.structs.replace(request, consent=consent))


async def test_an_unknown_format_is_refused_with_those_that_are_enabled(room: Room):
    with pytest.raises(Unprocessable, match="Enabled: failgate"):
        await room.reports.begin(user(), room.workspace_id, consented(manifest(), format="junit"))


@pytest.mark.parametrize("name", ["a\r\nb", "a\0b", "../x"])
async def test_a_manifest_with_a_harmful_name_is_refused(room: Room, name):
    with pytest.raises(Unprocessable, match="name"):
        await room.begin(user(), entry(OUTPUT, name))


async def test_a_thousand_artifacts_are_refused(room: Room):
    entries = [entry(str(number).encode(), f"{number}") for number in range(1000)]
    with pytest.raises(TooLarge):
        await room.begin(user(), *entries)


async def test_two_hundred_artifacts_are_taken(room: Room):
    begun = await room.begin(user(), *[entry(str(number).encode(), f"{number}") for number in range(200)])
    assert len(begun.missing) == 200


async def test_a_lost_answer_is_repeated_and_a_reused_id_is_refused(room: Room):
    by, document = user(), manifest(entry(OUTPUT))
    first, second = await asyncio.gather(
        *(room.reports.begin(by, room.workspace_id, consented(document)) for _ in range(2))
    )
    assert first == second
    assert await room.acts() == ["report.begun"]
    with pytest.raises(Conflict, match="id"):
        await room.reports.begin(by, room.workspace_id, consented({**document, "cwd": "/other"}))
    other = await room.reports.begin(user(), room.workspace_id, consented(document))
    assert other.id != first.id


class TestCommand:
    async def test_a_report_is_linked_to_the_command_that_its_uploader_submitted(self, room: Room):
        by, command_id = agent(), new_id()
        room.commands[room.workspace_id, command_id] = by.id
        begun = await room.reports.begin(by, room.workspace_id, consented(manifest(), command_id=command_id))
        [linked] = (await room.reports.page(user(), room.workspace_id)).items
        assert (linked.id, linked.command_id) == (begun.id, command_id)

    async def test_a_missing_a_foreign_and_anothers_command_are_refused_alike(self, room: Room):
        theirs, foreign = new_id(), new_id()
        by = agent()
        room.commands[room.workspace_id, theirs] = agent().id
        room.commands[new_id(), foreign] = by.id
        answers = set()
        for command_id in (theirs, foreign, new_id()):
            with pytest.raises(Unprocessable) as refused:
                await room.reports.begin(by, room.workspace_id, consented(manifest(), command_id=command_id))
            answers.add(str(refused.value))
        assert len(answers) == 1


class TestUpload:
    async def test_other_bytes_are_refused_and_nothing_is_left_behind(self, room: Room):
        by = user()
        begun = await room.begin(by, entry(OUTPUT))
        for sent in (b"\0" + OUTPUT[1:], OUTPUT[:-1], OUTPUT + b"x"):
            with pytest.raises(Unprocessable):
                await room.reports.put_artifact(by, room.workspace_id, begun.id, sha256(OUTPUT), chunks(sent))
        assert room.objects() == []
        with pytest.raises(Conflict):
            await room.reports.seal(by, room.workspace_id, begun.id)

    async def test_a_digest_that_the_manifest_does_not_name_is_not_found(self, room: Room):
        by = user()
        begun = await room.begin(by, entry(OUTPUT))
        with pytest.raises(NotFound):
            await room.put(by, begun.id, b"something else")
        with pytest.raises(NotFound):
            await room.reports.put_artifact(by, room.workspace_id, begun.id, "../../x", chunks(b""))

    async def test_only_the_uploader_fills_and_seals(self, room: Room):
        by = user()
        begun = await room.begin(by, entry(OUTPUT))
        answers = set()
        for principal, workspace_id, report_id in (
            (user(), room.workspace_id, begun.id),
            (by, new_id(), begun.id),
            (by, room.workspace_id, new_id()),
        ):
            with pytest.raises(NotFound) as refused:
                await room.reports.put_artifact(principal, workspace_id, report_id, sha256(OUTPUT), chunks(OUTPUT))
            answers.add(str(refused.value))
            with pytest.raises(NotFound) as refused:
                await room.reports.seal(principal, workspace_id, report_id)
            answers.add(str(refused.value))
        assert len(answers) == 1

    async def test_two_uploads_of_one_artifact_at_once_both_succeed(self, room: Room):
        by = user()
        begun = await room.begin(by, entry(OUTPUT))
        answers = await asyncio.gather(*(room.put(by, begun.id, OUTPUT) for _ in range(4)))
        assert {answer.state for answer in answers} == {"begun"}
        assert len(room.objects()) == 1
        assert (await room.reports.seal(by, room.workspace_id, begun.id)).state == "sealed"

    async def test_a_sealed_report_takes_nothing_more(self, room: Room):
        by = user()
        report_id = await room.sealed(by, OUTPUT)
        with pytest.raises(Conflict) as refused:
            await room.put(by, report_id, OUTPUT)
        assert refused.value.facts["state"] == "sealed"

    async def test_a_failing_write_is_said_and_the_sender_may_come_again(self, room: Room, monkeypatch):
        by = user()
        begun = await room.begin(by, entry(OUTPUT))

        async def lost(verb: object) -> None:
            raise StorageUnavailable("killed between store and row")

        monkeypatch.setattr(room.database, "write", lost)
        with pytest.raises(StorageUnavailable):
            await room.put(by, begun.id, OUTPUT)
        monkeypatch.undo()
        assert (await room.put(by, begun.id, OUTPUT)).missing == []


class TestSeal:
    async def test_what_is_missing_is_named(self, room: Room):
        by = user()
        begun = await room.begin(by, entry(OUTPUT), entry(b"+x", "d"))
        await room.put(by, begun.id, OUTPUT)
        with pytest.raises(Conflict) as refused:
            await room.reports.seal(by, room.workspace_id, begun.id)
        assert refused.value.facts["missing"] == [sha256(b"+x")]

    async def test_sealing_twice_at_once_is_one_sealing(self, room: Room):
        by = user()
        begun = await room.begin(by, entry(OUTPUT))
        await room.put(by, begun.id, OUTPUT)
        answers = await asyncio.gather(*(room.reports.seal(by, room.workspace_id, begun.id) for _ in range(5)))
        assert {answer.state for answer in answers} == {"sealed"}
        assert await room.acts() == ["report.begun", "report.sealed"]

    async def test_what_arrived_with_another_report_meanwhile_counts(self, room: Room):
        by = user()
        begun = await room.begin(by, entry(OUTPUT))
        await room.sealed(user(), OUTPUT)
        assert (await room.reports.seal(by, room.workspace_id, begun.id)).state == "sealed"
        assert await room.read(by, begun.id, OUTPUT) == OUTPUT


class TestQuarantine:
    async def test_a_secret_in_the_manifest_quarantines_the_report(self, room: Room):
        by = user()
        begun = await room.begin(by, entry(OUTPUT), argv=["curl", f"https://x/?t={SECRET}"])
        assert (begun.state, begun.missing) == ("quarantined", [])
        record = await room.last()
        assert record["act"] == "report.quarantined"
        assert record["data"]["findings"] >= 1
        with pytest.raises(Conflict, match="quarantined"):
            await room.put(by, begun.id, OUTPUT)

    @pytest.mark.parametrize("media_type", ["text/plain", "application/octet-stream"])
    @pytest.mark.parametrize("kind", ["output", "file"])
    async def test_a_secret_in_an_artifact_quarantines_the_report(self, room: Room, media_type, kind):
        by, content = user(), os.urandom(50).hex().encode() * 3000 + f"\ntoken {SECRET}\n".encode()
        begun = await room.begin(by, entry(content, kind=kind, media_type=media_type))
        assert (await room.put(by, begun.id, content)).state == "quarantined"
        assert (await room.reports.seal(by, room.workspace_id, begun.id)).state == "quarantined"
        assert await room.acts() == ["report.begun", "report.quarantined"]

    async def test_a_secret_across_two_pieces_is_found(self, room: Room):
        by, content = user(), b"." * ((1 << 20) - 20) + b" " + SECRET.encode() + b"\n"
        begun = await room.begin(by, entry(content))
        assert (await room.put(by, begun.id, content)).state == "quarantined"

    async def test_the_content_is_withheld_from_all_but_the_uploader(self, room: Room):
        by, content = agent(), f"password: {SECRET}".encode()
        begun = await room.begin(by, entry(content))
        await room.put(by, begun.id, content)
        seen = await room.reports.view(user(), room.workspace_id, begun.id)
        assert (seen.state, seen.manifest, seen.artifacts) == ("quarantined", None, [])
        assert "Withheld" in seen.title
        [listed] = (await room.reports.page(user(), room.workspace_id)).items
        assert "Withheld" in listed.title
        with pytest.raises(NotFound):
            await room.read(user(), begun.id, content)
        own = await room.reports.view(user(by.owner_account_id), room.workspace_id, begun.id)
        assert own.manifest is not None

    async def test_no_secret_stands_in_the_audit_log(self, room: Room):
        by, content = user(), f"password: {SECRET}".encode()
        begun = await room.begin(by, entry(content))
        await room.put(by, begun.id, content)
        await room.begin(by, title=SECRET)
        leaves = b"".join(stored.leaf for stored in await room.audit.records(room.workspace_id))
        assert SECRET.encode() not in leaves

    async def test_naming_the_digest_of_withheld_bytes_does_not_open_them(self, room: Room):
        by, content = user(), f"password: {SECRET}".encode()
        begun = await room.begin(by, entry(content))
        await room.put(by, begun.id, content)
        curious = user()
        claimed = await room.begin(curious, entry(content))
        assert (claimed.state, claimed.missing) == ("begun", [sha256(content)])
        with pytest.raises(Conflict):
            await room.reports.seal(curious, room.workspace_id, claimed.id)
        with pytest.raises(NotFound):
            await room.read(curious, claimed.id, content)
        assert (await room.put(curious, claimed.id, content)).state == "quarantined"

    async def test_a_second_report_over_withheld_bytes_is_never_sealed(self, room: Room):
        by, content = user(), f"password: {SECRET}".encode()
        begun = await room.begin(by, entry(content))
        await room.put(by, begun.id, content)
        again = await room.begin(by, entry(content))
        assert again.state == "begun"
        with pytest.raises(Conflict):
            await room.reports.seal(by, room.workspace_id, again.id)
        assert (await room.put(by, again.id, content)).state == "quarantined"

    async def test_naming_the_digest_of_an_unfinished_report_does_not_open_its_bytes(self, room: Room):
        by, curious = user(), user()
        begun = await room.begin(by, entry(OUTPUT), entry(b"later", "later"))
        await room.put(by, begun.id, OUTPUT)
        claimed = await room.begin(curious, entry(OUTPUT))
        assert claimed.missing == [sha256(OUTPUT)]


class TestDelete:
    async def test_a_deleted_report_is_gone_with_its_bytes_and_leaves_a_receipt(self, room: Room):
        by = user()
        report_id = await room.sealed(by, OUTPUT)
        receipt = await room.reports.delete(by, room.workspace_id, report_id)
        assert receipt.removed == [sha256(OUTPUT)]
        assert (receipt.kept, receipt.pending_objects) == ([], 0)
        assert room.objects() == []
        record = await room.audit.record_at(room.workspace_id, receipt.record)
        assert (record.record["act"], record.record["obj"]["id"]) == ("report.deleted", report_id)
        for call in (room.reports.view, room.reports.delete):
            with pytest.raises(NotFound):
                await call(by, room.workspace_id, report_id)

    async def test_artifacts_of_other_reports_stay(self, room: Room):
        by = user()
        first, second = await room.sealed(by, OUTPUT, b"only"), await room.sealed(by, OUTPUT)
        receipt = await room.reports.delete(by, room.workspace_id, first)
        assert (receipt.removed, receipt.kept) == ([sha256(b"only")], [sha256(OUTPUT)])
        assert await room.read(by, second, OUTPUT) == OUTPUT

    async def test_another_workspaces_report_cannot_be_deleted(self, room: Room):
        report_id = await room.sealed(user(), OUTPUT)
        with pytest.raises(NotFound):
            await room.reports.delete(user(), new_id(), report_id)
        assert len(room.objects()) == 1

    async def test_deleted_content_is_asked_for_again(self, room: Room):
        by = user()
        await room.reports.delete(by, room.workspace_id, await room.sealed(by, OUTPUT))
        assert (await room.begin(by, entry(OUTPUT))).missing == [sha256(OUTPUT)]


async def test_a_lost_answer_to_begin_or_seal_is_given_again(room: Room):
    by, document = user(), manifest(entry(OUTPUT))
    begin, seal = request_key("b", by.id, ("reports.begin",), 1), request_key("s", by.id, ("reports.seal",), None)
    first = await room.reports.begin(by, room.workspace_id, consented(document), begin)
    await room.put(by, first.id, OUTPUT)
    assert await room.reports.begin(by, room.workspace_id, consented(document), begin) == first
    sealed = await room.reports.seal(by, room.workspace_id, first.id, seal)
    assert sealed.state == "sealed"
    assert await room.reports.seal(by, room.workspace_id, first.id, seal) == sealed
    assert await room.acts() == ["report.begun", "report.sealed"]
    with pytest.raises(Unprocessable, match="another request"):
        other = request_key("b", by.id, ("reports.begin",), 2)
        await room.reports.begin(by, room.workspace_id, consented(document), other)


class TestKinds:
    """ASVS 5.0 5.2.2: an artifact is what its name and its media type say."""

    PNG = b"\x89PNG\r\n\x1a\n" + bytes(2000)

    async def test_another_kind_than_its_name_or_type_says_is_refused_and_nothing_is_kept(self, room: Room):
        for name, media_type, content in (
            ("shot.png", "application/octet-stream", b"\x7fELF" + bytes(3_000_000)),
            ("shot", "image/png", b"<html>"),
            ("page.pdf", "application/pdf", b""),
            ("notes.txt", "text/plain", self.PNG),
        ):
            by = user()
            begun = await room.begin(by, entry(content, name, "file", media_type=media_type))
            with pytest.raises(Unprocessable, match="holds something else") as refused:
                await room.put(by, begun.id, content)
            assert name in str(refused.value)
            with pytest.raises(Conflict, match="missing"):
                await room.reports.seal(by, room.workspace_id, begun.id)
        assert room.objects() == []

    async def test_what_it_is_called_for_is_taken_and_so_is_a_name_that_promises_nothing(self, room: Room):
        by = user()
        begun = await room.begin(
            by, entry(self.PNG, "shot.png", "file", media_type="image/png"),
            entry(self.PNG, "again.bin", "file", media_type="application/octet-stream"),
        )  # fmt: skip
        assert (await room.put(by, begun.id, self.PNG)).missing == []
        assert (await room.reports.seal(by, room.workspace_id, begun.id)).state == "sealed"

    async def test_one_digest_under_two_names_is_both(self, room: Room):
        by = user()
        begun = await room.begin(
            by, entry(self.PNG, "shot.png", "file", media_type="image/png"), entry(self.PNG, "shot.gif", "file")
        )
        with pytest.raises(Unprocessable, match=r"shot\.gif"):
            await room.put(by, begun.id, self.PNG)

    async def test_what_is_stored_gets_no_untrue_name_by_another_report(self, room: Room):
        """Nobody sends the bytes again for a digest that is known, so they are looked at where they lie."""
        by = user()
        first = await room.begin(by, entry(self.PNG, "core.bin", "file", media_type="application/octet-stream"))
        await room.put(by, first.id, self.PNG)
        await room.reports.seal(by, room.workspace_id, first.id)
        true = await room.begin(by, entry(self.PNG, "shot.png", "file", media_type="image/png"))
        assert true.missing == []
        untrue = await room.begin(by, entry(self.PNG, "page.pdf", "file", media_type="application/pdf"))
        assert untrue.missing == [sha256(self.PNG)]
        with pytest.raises(Unprocessable, match=r"page\.pdf"):
            await room.put(by, untrue.id, self.PNG)

    async def test_nor_by_one_that_was_begun_before_the_bytes_came(self, room: Room):
        by = user()
        untrue = await room.begin(by, entry(self.PNG, "page.pdf", "file", media_type="application/pdf"))
        first = await room.begin(by, entry(self.PNG, "core.bin", "file", media_type="application/octet-stream"))
        await room.put(by, first.id, self.PNG)
        await room.reports.seal(by, room.workspace_id, first.id)
        with pytest.raises(Conflict, match="missing"):
            await room.reports.seal(by, room.workspace_id, untrue.id)


async def test_an_output_that_parts_its_lines_by_nul_is_kept_and_read(room: Room) -> None:
    content = b'Traceback (most recent call last):\n  File "a\0.py", line 1, in f\0\nValueError: one\0two\n'
    report_id = await room.sealed(person := user(), content)
    assert (await room.reports.view(person, room.workspace_id, report_id)).state == "sealed"
    assert await room.read(person, report_id, content) == content
    [group] = await room.database.fetch("SELECT error FROM report_group")
    assert group["error"] == "ValueError: one two"
