"""The format of our own captures."""

import copy

import msgspec
import pytest
from failgate_capture import CaptureFormat, plugin

from failgate.plugin import Plugin, Unprocessable
from failgate.testing import FormatContract

DOCUMENT = {
    "v": 1,
    "id": "0190a0a0-0000-7000-8000-000000000001",
    "created_at": "2026-01-02T03:04:05.000000Z",
    "argv": ["pytest", "-q", "tests/test cart.py"],
    "cwd": "/src",
    "host": "build-1",
    "exit_code": 1,
    "duration_ms": 12,
    "environment": {"names": ["PATH"], "values": {"LANG": "C"}, "platform": "Linux"},
    "artifacts": [],
    "redactions": [],
    "redaction_rules": "1",
}


def changed(**members: object) -> dict:
    return {**copy.deepcopy(DOCUMENT), **members}


class TestCaptureFormat(FormatContract):
    @pytest.fixture
    def report_format(self) -> CaptureFormat:
        return CaptureFormat()

    @pytest.fixture
    def documents(self) -> list[dict]:
        git = {"head": None, "branch": "main", "is_dirty": True, "changed_files": 2}
        return [DOCUMENT, changed(git=git, signal=9, title="  own\ntitle ")]


def test_a_manifest_is_read_as_it_was_written():
    manifest = CaptureFormat().read(DOCUMENT)
    assert manifest.argv == DOCUMENT["argv"]
    assert msgspec.to_builtins(manifest)["environment"]["values"] == {"LANG": "C"}


@pytest.mark.parametrize(
    ("members", "place"),
    [
        ({"argv": "pytest"}, "argv"),
        ({"argv": ["pytest", 1]}, "argv[1]"),
        ({"exit_code": "1"}, "exit_code"),
        ({"exit_code": True}, "exit_code"),
        ({"exit_code": None}, "exit_code"),
        ({"artifacts": [{"name": "a"}]}, "artifacts[0]"),
        ({"environment": {"names": [], "values": {"A": 1}, "platform": "x"}}, "environment.values[...]"),
    ],
)
def test_a_member_of_another_type_is_refused_with_its_place(members, place):
    with pytest.raises(Unprocessable) as refused:
        CaptureFormat().read(changed(**members))
    assert refused.value.facts["member"] == place
    assert place in refused.value.sentence


@pytest.mark.parametrize("version", [0, 2, "1", True, None, 1.5])
def test_another_version_is_refused(version):
    with pytest.raises(Unprocessable, match="version"):
        CaptureFormat().read(changed(v=version))


def test_an_unknown_member_is_refused_by_name():
    with pytest.raises(Unprocessable, match="`exitcode`"):
        CaptureFormat().read(changed(exitcode=1))


def test_a_missing_member_is_refused_by_name():
    document = changed()
    del document["argv"]
    with pytest.raises(Unprocessable, match="`argv`"):
        CaptureFormat().read(document)


@pytest.mark.parametrize(
    ("members", "title"),
    [
        ({}, "pytest -q 'tests/test cart.py' · exit 1"),
        ({"exit_code": 137, "signal": 9}, "pytest -q 'tests/test cart.py' · SIGKILL"),
        ({"exit_code": 168, "signal": 40}, "pytest -q 'tests/test cart.py' · signal 40"),
        ({"title": "Cart total is wrong"}, "Cart total is wrong"),
        ({"argv": ["sh", "-c", "a\nb"]}, "sh -c 'a b' · exit 1"),
    ],
)
def test_a_report_is_named_by_its_command_and_how_it_ended(members, title):
    reader = CaptureFormat()
    assert reader.title(reader.read(changed(**members))) == title


def test_a_long_command_does_not_push_its_ending_out_of_the_title():
    reader = CaptureFormat()
    title = reader.title(reader.read(changed(argv=["x" * 5000])))
    assert len(title) == 200
    assert title.endswith("… · exit 1")


def test_the_plugin_is_a_value_that_provides_one_format():
    assert isinstance(plugin, Plugin)
    assert plugin.name == "capture"
