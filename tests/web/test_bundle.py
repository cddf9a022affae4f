"""The reviewer's bundle: what belongs to it, what names it, when it goes on record."""

import hashlib
import json

import pytest

from failgate.base.canonical import canonical, digest_of
from failgate.roster import Services
from failgate.web import bundle
from failgate.web.bundle import bundle_digest, bundle_files, integrity_map, integrity_of, record_bundle, web_manifest
from failgate.web.render import StaticFile, static_files


def test_it_holds_what_the_page_names_and_what_that_imports() -> None:
    files = bundle_files()
    assert {"failgate.css", "theme.js", "sealed/page.js"} <= files.keys()  # named
    assert {"countdown.js", "sealed/decision.js", "sealed/json.js"} <= files.keys()  # imported
    assert "sealed/vectors.js" not in files  # which no page loads
    assert list(files) == sorted(files)
    assert all(static_files()[path].body == body for path, body in files.items())


def test_the_digest_is_of_the_canonical_list_of_digests() -> None:
    manifest = web_manifest()
    assert bundle_digest() == digest_of(json.loads(canonical(manifest)))
    for one in manifest["files"]:
        body = bundle_files()[one["path"]]
        assert (one["sha256"], one["size_bytes"]) == (hashlib.sha256(body).hexdigest(), len(body))
    known = integrity_map()["integrity"]
    assert {path.split("/", 3)[3] for path in known} == {path for path in bundle_files() if path.endswith(".js")}
    assert integrity_of("theme.js") in known.values()


def test_one_byte_of_one_file_is_another_digest(monkeypatch: pytest.MonkeyPatch) -> None:
    before, changed = bundle_digest(), dict(static_files())
    changed["countdown.js"] = StaticFile(changed["countdown.js"].body + b"\n", "text/javascript")
    kept = (bundle_files, web_manifest, bundle_digest)
    try:
        monkeypatch.setattr(bundle, "static_files", lambda: changed)
        for one in kept:
            one.cache_clear()
        assert bundle_digest() != before
    finally:
        monkeypatch.undo()
        for one in kept:
            one.cache_clear()
    assert bundle_digest() == before


async def test_another_one_than_the_last_goes_on_record_once(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def recorded() -> list[dict[str, object]]:
        found = await services.audit.newest("system", limit=1000, obj_id="web_bundle")
        return [one.record["data"] for one in found]

    here = {"manifest": bundle_digest(), "files": len(bundle_files())}
    assert [await record_bundle(services.audit), await record_bundle(services.audit)] == [True, False]
    assert await recorded() == [here]
    monkeypatch.setattr(bundle, "bundle_digest", lambda: "B" * 43)
    assert await record_bundle(services.audit)
    assert (await recorded())[0] == {**here, "manifest": "B" * 43, "before": bundle_digest()}
    monkeypatch.undo()
    assert await record_bundle(services.audit)  # back again is another one too
