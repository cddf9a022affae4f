"""Pictures of a page for the documentation: at a desk and on a phone, side by side, in few colours."""

import io
from pathlib import Path
from typing import Literal

from PIL import Image, ImageDraw
from playwright.sync_api import Page

DESKTOP, PHONE, HIGHEST, LOWEST = 1280, 390, 840, 440
GAP = 20
BACKGROUND = {"light": "#dde3ea", "dark": "#2a313b"}
EDGE = {"light": "#c3ccd6", "dark": "#3d4753"}
COLOURS = 128
Scheme = Literal["light", "dark"]
# How far to the right a page of ours says anything; a foreign page is shown whole.
REACH = """() => {
  const gateway = document.querySelector(".gateway > main");
  if (gateway) { const box = gateway.getBoundingClientRect(); return [box.left - 40, box.right + 40]; }
  const main = document.querySelector(".frame main.page");
  if (!main) return [0, innerWidth];
  let right = 760;
  for (const one of main.querySelectorAll("*")) {
    const box = one.getBoundingClientRect();
    if (box.width && !one.matches("header, .stack, .scroll")) right = Math.max(right, box.right);
  }
  return [0, right + 40];
}"""


# How far down it says anything; the queue fills the window, a foreign page is shown as high as was asked for.
DEPTH = """() => {
  const gateway = document.querySelector(".gateway > main");
  if (gateway) return gateway.querySelector(".panel").getBoundingClientRect().height + 232;
  const main = document.querySelector(".frame main.page");
  if (!main) return innerHeight;
  const last = [...main.children].at(-1);
  return last.getBoundingClientRect().bottom + 32;
}"""


TOP = """() => {
  document.activeElement?.blur();
  for (const one of [document.scrollingElement, document.querySelector(".room")]) if (one) one.scrollTop = 0;
}"""
SCROLL = """one => {
  const room = document.querySelector(".room"), nav = document.querySelector(".nav").getBoundingClientRect();
  const scroller = getComputedStyle(room).overflowY === "visible" ? document.scrollingElement : room;
  const covered = scroller === room ? 0 : nav.height;
  scroller.scrollTop += one.getBoundingClientRect().top - covered - 16;
}"""


class Camera:
    """Takes pictures into a folder; `taken` holds their names in order."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.taken = folder, list[str]()
        folder.mkdir(parents=True, exist_ok=True)

    def take(
        self, page: Page, name: str, *, scheme: Scheme = "light", at: str | None = None, height: int | None = None
    ) -> None:
        """Keep `page` as it is now at both sizes under `name`; `at` is what has to stand at the upper edge."""
        height = height or self._height(page)
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        shots = []
        for width in (DESKTOP, PHONE):
            page.set_viewport_size({"width": width, "height": height})
            page.evaluate(TOP)
            if at is not None:
                page.locator(at).first.evaluate(SCROLL)
            page.wait_for_timeout(250)
            left, right = page.evaluate(REACH) if width == DESKTOP else (0, width)
            shot = Image.open(io.BytesIO(page.screenshot(animations="disabled", caret="hide"))).convert("RGB")
            shots.append(shot.crop((max(0, round(left)), 0, min(width, round(right)), height)))
        page.set_viewport_size({"width": DESKTOP, "height": HIGHEST})
        page.emulate_media(color_scheme="light")
        path = self.folder / f"{name}.png"
        side_by_side(shots, scheme).save(path, optimize=True)
        self.taken.append(path.name)

    def _height(self, page: Page) -> int:
        """Return how high both pictures have to be: as high as the lower end of what either says."""
        depths = []
        for width in (DESKTOP, PHONE):
            page.set_viewport_size({"width": width, "height": HIGHEST})
            page.evaluate(TOP)
            page.wait_for_timeout(50)
            depths.append(page.evaluate(DEPTH))
        return round(min(HIGHEST, max(LOWEST, *depths)))


def side_by_side(shots: list[Image.Image], scheme: Scheme) -> Image.Image:
    """Return the pictures in one, each with an edge, in an adaptive palette."""
    width = sum(shot.width for shot in shots) + GAP * (len(shots) + 1)
    sheet = Image.new("RGB", (width, max(shot.height for shot in shots) + 2 * GAP), BACKGROUND[scheme])
    pen, left = ImageDraw.Draw(sheet), GAP
    for shot in shots:
        pen.rectangle((left - 1, GAP - 1, left + shot.width, GAP + shot.height), outline=EDGE[scheme])
        sheet.paste(shot, (left, GAP))
        left += shot.width + GAP
    return sheet.quantize(COLOURS, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
