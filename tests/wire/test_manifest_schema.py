"""The published schema is the one of the structs, and real manifests fit it."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from failgate.wire.manifest_schema import manifest_schema, schema_text

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def validator() -> Any:
    jsonschema.Draft202012Validator.check_schema(manifest_schema())
    return jsonschema.Draft202012Validator(manifest_schema())


def test_the_published_schema_is_current() -> None:
    assert (ROOT / "docs" / "manifest-v1.schema.json").read_text() == schema_text()


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A real one, of everything that a capture can keep."""
    folder = tmp_path_factory.mktemp("captured")
    (folder / "a.log").write_text("a line\n")
    (folder / "b.log").write_bytes(b"\0\1")
    git = ("git", "-c", "user.name=T", "-c", "user.email=t@example.org")
    for arguments in (("init", "-q"), ("add", "a.log"), ("commit", "-qm", "first")):
        subprocess.run([*git, *arguments], cwd=folder, check=True)
    (folder / "a.log").write_text("another\n")
    done = subprocess.run(
        [sys.executable, "-m", "failgate", "capture", "--file", "*.log", "--snapshot", "--bundle", "--project", "till",
         "--project-version", "1.2", "--", "sh", "-c", "echo x; kill -TERM $$"],
        cwd=folder, check=False, timeout=60, capture_output=True,
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", "PYTHONPATH": str(ROOT), "FAILGATE_HOME": str(folder / "home")},
    )  # fmt: skip
    assert done.returncode == 143, done.stderr
    (report,) = (folder / ".failgate" / "reports").iterdir()
    return json.loads((report / "manifest.json").read_bytes())


def test_a_real_manifest_fits_the_schema(manifest: dict[str, Any], validator: Any) -> None:
    validator.validate(manifest)
    kinds = [one["kind"] for one in manifest["artifacts"]]
    assert kinds == ["output", "recording", "file", "diff", "snapshot", "bundle"]
    assert (manifest["project"], manifest["version"], manifest["signal"]) == ("till", "1.2", 15)
    assert [(one["path"], one["reason"], one["size_bytes"]) for one in manifest["noted_files"]] == [
        ("b.log", "binary", 2)
    ]
    assert "git" in [tool["name"] for tool in manifest["tools"]]
    assert manifest["usage"]["max_rss_bytes"] > 0


@pytest.mark.parametrize(
    "change",
    [{"v": 2}, {"exit_code": "1"}, {"unknown": 1}, {"source": "elsewhere"}, {"artifacts": [{"name": "x"}]}, {"usage": {}}],
)  # fmt: skip
def test_another_document_does_not_fit(manifest: dict[str, Any], validator: Any, change: dict[str, Any]) -> None:
    assert not validator.is_valid(manifest | change)


def test_the_manifest_of_the_first_version_still_fits(validator: Any) -> None:
    text = (ROOT / "docs" / "reports.md").read_text()
    document = json.loads(text.split("```json\n")[1].split("```")[0])
    validator.validate(document)
