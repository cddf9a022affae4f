"""A file downloaded from a host of its own, by a real browser: app and files are two origins. # F3"""

import socket
from pathlib import Path
from urllib.parse import urlsplit

from tests.journeys import team
from tests.journeys.harness import NewDatabase, Server, browser
from tests.journeys.team import person, program, sign_in
from tests.journeys.test_report_life import OUTPUT, sealed


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


def test_a_browser_downloads_a_file_from_the_other_host_and_takes_nothing_there(
    new_database: NewDatabase, tmp_path: Path
) -> None:
    port = free_port()
    config = f'[server]\nartifact_url = "http://localhost:{port}"\n'
    listening = ("--listen", f"127.0.0.1:{port}")
    with team.served(
        Server(tmp_path / "data", database_url=new_database(), config=config, arguments=listening)
    ) as server:
        key = program(server, team.found_acme(server)["api_key"])
        with key, sign_in(server, person(server, "dev", "developer")) as dev, browser() as chromium:
            report = sealed(key)
            context = chromium.new_context(accept_downloads=True)
            context.add_cookies(
                [{"name": one.name, "value": one.value or "", "url": server.url} for one in dev.cookies.jar]
            )
            page = context.new_page()
            broken: list[str] = []
            page.on("console", lambda said: broken.append(said.text) if said.type == "error" else None)
            asked: list[tuple[str, str | None]] = []
            context.on("request", lambda one: asked.append((one.url, one.all_headers().get("cookie"))))
            page.goto(f"{server.url}/w/acme/reports/{report}")
            link = page.locator('a[href*="/artifacts/"]').first
            with page.expect_download() as coming:
                link.click()
            download = coming.value
            kept = tmp_path / "kept"
            download.save_as(kept)
            assert kept.read_bytes() == OUTPUT
            assert urlsplit(download.url).netloc == f"localhost:{port}"
            assert urlsplit(download.url).path.startswith("/a/")
            assert download.suggested_filename
            assert page.url == f"{server.url}/w/acme/reports/{report}"
            assert broken == []
            there = [cookie for url, cookie in asked if urlsplit(url).hostname == "localhost"]
            assert [cookie for cookie in there if cookie] == []
            assert [one for one in context.cookies() if one["domain"] == "localhost"] == []
            shown = page.goto(f"http://localhost:{port}/signin")
            assert shown is not None
            assert shown.status == 404
            again = page.goto(f"{server.url}{urlsplit(download.url).path}")
            assert again is not None
            assert again.status == 404  # the app answers no such address
