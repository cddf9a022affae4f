"""Pages as axe and people see them."""

import os
from pathlib import Path
from typing import Any

import axe_playwright_python

AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text()
# Each place of what passes would be named too, which is half of the work and what nobody reads.
_FOUND = """axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa', 'wcag22aa'], resultTypes: ['violations']})
  .then(found => found.violations.map(one => [one.id, one.nodes[0].html]))"""

# Where rooms scroll by themselves, at a desk, what is around them does not.
_BEYOND = """() => {
  const room = document.querySelector(".room");
  const isFramed = room && getComputedStyle(room).overflowY !== "visible";
  return isFramed && document.scrollingElement.scrollHeight > innerHeight;
}"""


def picture(page: Any, name: str) -> None:
    """Look at the page with axe in both themes; keep screenshots when a folder is named."""
    assert not page.evaluate(_BEYOND), f"{name} scrolls beyond its end"
    for theme in ("dark", "light"):
        page.emulate_media(color_scheme=theme)
        # Parts of the page's own policy forbid what axe injects: it is run as the debugger would.
        page.evaluate(AXE)
        assert page.evaluate(_FOUND) == [], name
    folder = os.environ.get("FAILGATE_SCREENSHOTS")
    if not folder:
        return
    for width, height in ((1280, 800), (390, 844)):
        page.set_viewport_size({"width": width, "height": height})
        for theme in ("light", "dark"):
            page.emulate_media(color_scheme=theme)
            page.screenshot(path=f"{folder}/{name}-{width}-{theme}.png", full_page=True)
    page.set_viewport_size({"width": 1280, "height": 800})
    page.emulate_media(color_scheme="light")
