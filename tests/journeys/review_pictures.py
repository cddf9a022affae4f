"""The review of a report in the browser, walked with a real capture and a real server: `contrib/dev/screenshots review`."""

import re
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import Page

from tests.journeys import team
from tests.journeys.camera import Camera
from tests.journeys.harness import Server, browser
from tests.journeys.laptop import Laptop, Line
from tests.journeys.test_review_in_browser import select

HEIGHT = 800
# What a test run prints; the token is made up, and has the form of a real one.
RUN = r"""
printf '\033[1m============ test session starts ============\033[0m\n'
printf 'collected 41 items\n\n'
sleep 0.4
printf 'tests/test_cart.py \033[32m....................................\033[0m\033[31mF\033[0m\033[32m....\033[0m\n\n'
printf '\033[31m________ test_discount ________\033[0m\n'
printf 'DEBUG shop.client GET /prices customer=customer-globex-77\n'
printf 'DEBUG shop.client authorization: Bearer %s%s\n' ghp_ q7Xk2Lm9Zt4Vb8Rn3Wc6Hy1Pd5Gs0JfTa1b2
printf '\n    def test_discount():\n>       assert total(items, "10%%") == 90\n'
printf '\033[31mE       assert 89 == 90\033[0m\n\033[31mE        +  where 89 = total([10, 80], "10%%")\033[0m\n\n'
printf 'tests/test_cart.py:41: AssertionError\n\033[31mFAILED\033[0m tests/test_cart.py::test_discount - assert 89 == 90\n'
sleep 0.3
printf '\033[31m=========== \033[1m1 failed\033[0m, \033[32m40 passed\033[0m\033[31m in 2.31s ===========\033[0m\n'
exit 1
"""


def record(place: Path, folder: Path) -> list[str]:
    """Keep the pictures in `place`; return their names in order."""
    camera = Camera(place)
    with team.served(Server(folder / "data")) as server:
        line = Line(server)
        shop = folder / "shop"
        (shop / "logs").mkdir(parents=True)
        (shop / "logs" / "requests.log").write_text("GET /prices customer=customer-globex-77 200\n" * 3)
        (shop / "run-tests").write_text(RUN)
        laptop = Laptop(shop, team.found_acme(server)["api_key"], line)
        capture = ("capture", "--pipes", "--file", "logs/*.log", "--", "sh", "run-tests")
        subprocess.run([sys.executable, "-m", "failgate", *capture], env=laptop.environment, cwd=shop, check=False)
        with browser() as chromium, laptop.reviewing() as going:
            page = chromium.new_page(viewport={"width": 1280, "height": HEIGHT})
            page.goto(going.link)
            page.wait_for_url(re.compile(r".*/$"))
            walk(page, camera)
        line.close()
    return camera.taken


def walk(page: Page, camera: Camera) -> None:
    """Look, select, leave out, agree, upload."""
    page.get_by_role("link", name=re.compile("output.txt")).click()
    select(page, "customer-globex-77")
    camera.take(page, "review-1-look", height=HEIGHT)
    select(page, "customer-globex-77")
    page.get_by_role("button", name="Replace the selection everywhere").click()
    page.get_by_role("button", name=re.compile("Leave out .*requests.log")).click()
    page.get_by_role("link", name=re.compile("recording.cast")).click()
    page.locator("[data-screen]").wait_for()
    camera.take(page, "review-2-replaced", height=HEIGHT, scheme="dark")
    page.get_by_role("button", name="Save and go on").click()
    page.locator(".digest").wait_for()
    camera.take(page, "review-3-consent", height=HEIGHT)
    page.get_by_role("checkbox").check()
    page.get_by_role("button", name="Agree and upload").click()
    page.get_by_role("link", name="Open the report").wait_for()
    camera.take(page, "review-4-uploaded", height=560)
