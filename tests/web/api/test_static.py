"""Static files and how long a browser keeps them."""

from failgate.web.render import static_files, static_version


async def test_a_file_with_the_version_in_its_address_is_kept_for_a_year(server):
    async with server.client() as client:
        answer = await client.get(f"/static/{static_version()}/failgate.css")
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "text/css; charset=utf-8"
        assert "immutable" in answer.headers["cache-control"]
        assert answer.content == static_files()["failgate.css"].body


async def test_a_page_from_before_an_update_gets_the_file_as_it_is_now(server):
    async with server.client() as client:
        answer = await client.get("/static/0123456789abcdef/failgate.css")
        assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-cache")
        assert answer.content == static_files()["failgate.css"].body


async def test_another_address_of_it_is_asked_for_again_and_costs_little(server):
    async with server.client() as client:
        answer = await client.get("/static/failgate.css")
        assert answer.headers["cache-control"] == "no-cache"
        again = await client.get("/static/failgate.css", headers={"if-none-match": answer.headers["etag"]})
        assert again.status_code == 304
        assert again.content == b""


async def test_nothing_outside_of_the_folder_is_a_static_file(server):
    async with server.client() as client:
        for path in (
            "absent.css",
            "../render.py",
            "%2e%2e/render.py",
            "..%2frender.py",
            "",
            "0000/failgate.css",
            "/etc/passwd",
        ):
            answer = await client.get("/static/" + path)
            assert answer.status_code == 404, path
