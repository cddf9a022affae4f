"""What browsers report of broken policies: counted, bounded in the log, and nothing secret of it kept."""

import json

import pytest

TYPE = {"content-type": "application/csp-report"}


def told(**said: object) -> str:
    return json.dumps({"csp-report": {"document-uri": "http://x/reset/new?token=fg_rst_secret", **said}})


async def counted(client) -> dict[str, float]:
    lines = [
        line for line in (await client.get("/metrics")).text.splitlines()
        if line.startswith("failgate_policy_violations_total{")
    ]  # fmt: skip
    return {line.split('"')[1]: float(line.split()[-1]) for line in lines}


async def test_a_report_is_counted_by_its_directive_and_logged_without_the_address_of_the_page(server, capfd):
    async with server.client() as client:
        for body in (
            told(**{"effective-directive": "script-src-elem", "blocked-uri": "inline"}),
            told(**{"violated-directive": "img-src 'self' data:", "blocked-uri": "https://evil.example/a?token=fg_usr_secret"}),
            told(**{"effective-directive": "img-src", "blocked-uri": "\u202ehttps://[::1"}),
        ):  # fmt: skip
            assert (await client.post("/csp-reports", content=body, headers=TYPE)).status_code == 204
        assert await counted(client) == {"script-src-elem": 1, "img-src": 2}
    lines = [line for line in "".join(capfd.readouterr()).splitlines() if "policy.broken" in line]
    assert [word in line for word, line in zip(("inline", "https://evil.example", "unknown"), lines, strict=True)] == [
        True
    ] * 3
    assert "secret" not in "".join(lines)


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (told(**{"effective-directive": "img-src"}), {"content-type": "application/json"}, 415),
        (told(**{"effective-directive": "img-src"}), {}, 415),
        (told(**{"effective-directive": "x" * 100}), TYPE, 400),
        (told(), TYPE, 400),
        ("[]", TYPE, 400),
        ('{"csp-report": 1}', TYPE, 400),
        ("{", TYPE, 400),
        ("", TYPE, 400),
        (told(**{"effective-directive": "img-src", "x": "y" * 20_000}), TYPE, 413),
    ],
)
async def test_what_is_no_report_is_refused_and_counts_nothing(server, body, headers, status):
    async with server.client() as client:
        assert (await client.post("/csp-reports", content=body, headers=headers)).status_code == status
        assert await counted(client) == {}


async def test_nobody_fills_the_log_by_it(server, capfd):
    body = told(**{"effective-directive": "img-src", "blocked-uri": "data"})
    async with server.client() as client:
        for _ in range(60):
            await client.post("/csp-reports", content=body, headers=TYPE)
        assert await counted(client) == {"img-src": 60}
    assert "".join(capfd.readouterr()).count("policy.broken") == 20
