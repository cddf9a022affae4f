"""The OpenAPI document says what the doors do, and its reader runs no script."""

import re

import pytest
from litestar.openapi.spec import OpenAPI

from failgate.web.api.openapi import type_name
from failgate.web.routes import API
from failgate.wire.manifest_schema import schema_text


async def test_every_door_of_the_api_is_in_the_document_with_its_parameters(server):
    async with server.client() as client:
        document = (await client.get("/api/openapi.json")).json()
    assert document["openapi"].startswith("3.1")
    for door in API:
        operation = document["paths"][door.path.replace(":path}", "}")][door.method.lower()]
        named = {one["name"] for one in operation.get("parameters", []) if one["in"] == "path"}
        assert named == set(door.parameters), door.name
        assert str(door.status) in operation["responses"]
        assert "401" in operation["responses"]
        assert operation["security"] == [{"token": []}, {"session": []}]
    assert len({one["operationId"] for path in document["paths"].values() for one in path.values()}) == len(API)


async def test_the_document_is_made_once(server, monkeypatch):
    """It takes tenths of a second, and whoever asks is a stranger."""
    made = []
    honest = OpenAPI.to_schema
    monkeypatch.setattr(OpenAPI, "to_schema", lambda self: made.append(1) or honest(self))
    async with server.client() as client:
        answers = [await client.get(path) for path in ("/api/openapi.json", "/api/docs") * 3]
    assert {answer.status_code for answer in answers} == {200}
    assert answers[0].content == answers[2].content
    assert made == [1]


async def test_bodies_and_answers_are_typed(server):
    async with server.client() as client:
        document = (await client.get("/api/openapi.json")).json()
    paths, where = document["paths"], "/api/v1/workspaces/{workspace}"
    submit = paths[f"{where}/commands"]["post"]
    assert submit["requestBody"]["required"] is True
    [body] = submit["requestBody"]["content"].values()
    assert body["schema"]["$ref"].endswith("/Submission")
    assert {"wait", "Idempotency-Key"} <= {one["name"] for one in submit["parameters"]}
    answer = submit["responses"]["201"]["content"]["application/json"]["schema"]
    assert answer["$ref"].endswith("/CommandView")
    assert "application/problem+json" in submit["responses"]["422"]["content"]
    upload = paths[f"{where}/reports/{{id}}/artifacts/{{sha256}}"]["put"]
    assert list(upload["requestBody"]["content"]) == ["application/octet-stream"]
    schemas = document["components"]["schemas"]
    assert set(schemas["Submission"]["required"]) == {"command", "digest"}
    assert {"token", "session"} == set(document["components"]["securitySchemes"])


async def test_what_is_no_json_is_described_as_what_it_is(server):
    async with server.client() as client:
        paths = (await client.get("/api/openapi.json")).json()["paths"]
    where = "/api/v1/workspaces/{workspace}"

    def answer(path: str) -> list[str]:
        return list(paths[f"{where}{path}"]["get"]["responses"]["200"]["content"])

    assert answer("/audit/checkpoint") == ["text/plain"]
    assert answer("/usage.csv") == ["text/csv"]
    assert answer("/recordings/{id}/cast") == ["application/x-asciicast"]
    assert answer("/reports/{id}/artifacts/{sha256}") == ["application/octet-stream"]
    terms = paths[f"{where}/rule-terms"]["put"]["requestBody"]["content"]
    assert list(terms) == ["application/json"]
    assert "422" in paths[f"{where}/audit/proof/consistency"]["get"]["responses"]


async def test_no_page_and_no_operation_is_in_the_document(server):
    async with server.client() as client:
        document = (await client.get("/api/openapi.json")).json()
    assert all(path.startswith("/api/v1/") for path in document["paths"])


async def test_the_reader_shows_every_operation_without_a_script_of_its_own_or_a_foreign_host(server):
    async with server.client() as client:
        answer = await client.get("/api/docs")
    assert answer.status_code == 200
    for door in API:
        assert door.path.replace(":path}", "}") in answer.text
    assert "CommandView" in answer.text
    assert not re.search(r"https?://", answer.text)
    assert not re.search(r"<script(?![^>]*src=\"/static/)", answer.text)
    nonce = answer.headers["content-security-policy"].partition("'nonce-")[2].partition("'")[0]
    assert all(f'nonce="{nonce}"' in tag for tag in re.findall(r"<script[^>]*>", answer.text))


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"$ref": "#/components/schemas/Vote"}, "Vote"),
        ({"type": ["string", "null"]}, "string or null"),
        ({"oneOf": [{"type": "integer"}, {"type": "null"}]}, "integer or null"),
        ({"type": "array", "items": {"$ref": "#/x/Finding"}}, "list of Finding"),
        ({"enum": ["allow", "deny"]}, "allow | deny"),
        ({}, "any"),
    ],
)
def test_a_schema_is_told_in_a_few_words(schema, words):
    assert type_name(schema) == words


async def test_no_parameter_stands_twice_in_an_operation(server):
    async with server.client() as client:
        document = (await client.get("/api/openapi.json")).json()
    for path in document["paths"].values():
        for operation in path.values():
            named = [(one["in"], one["name"]) for one in operation.get("parameters", [])]
            assert sorted(set(named)) == sorted(named), operation["operationId"]


async def test_the_schema_of_the_manifest_is_published_to_everybody(server):
    """B5: the bytes that `failgate report schema` prints, kept by caches and asked for again by their tag."""
    async with server.client() as client:
        answer = await client.get("/api/schemas/manifest-v1.json")
        again = await client.get("/api/schemas/manifest-v1.json", headers={"if-none-match": answer.headers["etag"]})
    assert answer.content == schema_text().encode()
    assert answer.json()["$id"] == "urn:failgate:manifest:1"
    assert answer.headers["content-type"].startswith("application/schema+json")
    assert "public" in answer.headers["cache-control"]
    assert "set-cookie" not in answer.headers
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", answer.headers["etag"])
