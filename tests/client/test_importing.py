"""Documents of other tools become local reports."""

import stat

import pytest

from failgate.base.errors import BadInput, TooLarge, Unprocessable
from failgate.client import importing
from failgate.client.importing import import_documents, open_format
from failgate.client.report_folder import artifact_bytes, reports_under
from failgate.drafts import Draft, DraftArtifact, Reading

SECRET = "correct-horse-battery-staple-42"


class Lines:
    """One failure a line; a line `!` is no such document."""

    name = "lines"

    def drafts(self, document: bytes) -> Reading:
        if b"!" in document:
            raise Unprocessable("no lines")
        made = [
            Draft(
                source="junit",
                title=line.decode(),
                argv=("x",),
                artifacts=[DraftArtifact("a", "output", "text/plain", line)],
            )
            for line in document.splitlines()
        ]
        return Reading(made, {})


@pytest.fixture
def environment(tmp_path):
    return {"FAILGATE_HOME": str(tmp_path / "home"), "DB_PASSWORD": SECRET}


def test_each_failure_becomes_a_report_without_the_secrets_of_this_machine(tmp_path, environment):
    file = tmp_path / "f"
    file.write_text(f"one {SECRET}\ntwo\n")
    kept = list(import_documents(Lines(), [file], tmp_path, environment))
    assert [one.manifest.title.split()[0] for one in kept] == ["one", "two"]
    assert len(list(reports_under(tmp_path))) == 2
    content = artifact_bytes(kept[0], kept[0].manifest.artifacts[0])
    assert SECRET.encode() not in content
    assert SECRET not in str(kept[0].document)
    assert stat.S_IMODE(kept[0].folder.stat().st_mode) == 0o700


def test_a_document_that_is_none_keeps_nothing(tmp_path, environment):
    (tmp_path / "f").write_text("!")
    with pytest.raises(Unprocessable):
        list(import_documents(Lines(), [tmp_path / "f"], tmp_path, environment))
    assert list(reports_under(tmp_path)) == []


def test_a_file_that_is_too_large_or_cannot_be_read_is_refused(tmp_path, environment, monkeypatch):
    (tmp_path / "f").write_text("12345")
    monkeypatch.setattr(importing, "LARGEST_DOCUMENT", 4)
    with pytest.raises(TooLarge):
        list(import_documents(Lines(), [tmp_path / "f"], tmp_path, environment))
    with pytest.raises(BadInput, match="cannot be read"):
        list(import_documents(Lines(), [tmp_path], tmp_path, environment))


def test_a_format_that_is_not_installed_is_refused_by_name():
    with pytest.raises(BadInput, match=r"'\.\./x'"):
        open_format("../x")
