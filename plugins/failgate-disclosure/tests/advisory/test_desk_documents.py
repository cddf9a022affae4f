"""What the desk gives away and publishes keeps the official schema and tests of CSAF 2.0."""

import json


async def test_a_draft_and_what_is_public_keep_the_schema_and_the_tests(house, complaints) -> None:
    report = await house.drafted(embargo="2020-01-01")
    assert complaints(json.loads((await house.ask("advisory_csaf", report)).content)) == {}
    await house.publish(report)
    await house.ask("advisory_save", report, edit="3", **house.whole, change="A word more.")
    await house.publish(report)
    document = json.loads((await house.public("acme-2026-0001.json")).content)
    assert document["document"]["tracking"]["version"] == "2"
    assert complaints(document) == {}
