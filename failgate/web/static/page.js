// What every page can do: copy, print, keep its relative times right.
import { age, setClock } from "./countdown.js";

document.addEventListener("click", async (event) => {
  const target = event.target instanceof Element ? event.target : null;
  if (target?.closest("[data-print]")) print();
  const button = target?.closest("[data-copy]");
  if (!(button instanceof HTMLElement)) return;
  const label = button.lastChild;
  const before = label?.textContent ?? "";
  try {
    await navigator.clipboard.writeText(button.dataset.copy ?? "");
    if (label) label.textContent = "Copied";
  } catch {
    if (label) label.textContent = "Not allowed here";
  }
  setTimeout(() => {
    if (label) label.textContent = before;
  }, 1600);
});

setClock(document.querySelector("[data-now]")?.getAttribute("data-now") ?? undefined);
setInterval(age, 10000);

// On a phone the rooms are a strip that scrolls: the one that is open is in sight.
function showRoom() {
  const strip = document.querySelector(".nav-links");
  const open = strip?.querySelector("[aria-current]");
  if (!(strip instanceof HTMLElement) || !(open instanceof HTMLElement)) return;
  strip.scrollLeft = open.offsetLeft - strip.offsetLeft - (strip.clientWidth - open.offsetWidth) / 2;
}

showRoom();
addEventListener("resize", showRoom);

// A menu that was opened closes when one clicks elsewhere.
document.addEventListener("pointerdown", (event) => {
  for (const menu of document.querySelectorAll("details.switcher[open]")) {
    if (event.target instanceof Node && !menu.contains(event.target)) menu.removeAttribute("open");
  }
});

// What a lock means covers other text while it is shown: Escape hides it, until one comes to it anew.
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const shown of document.querySelectorAll(".lock:is(:hover, :focus-within)")) {
    shown.setAttribute("data-hidden", "");
    for (const end of ["pointerleave", "focusout"]) shown.addEventListener(end, () => shown.removeAttribute("data-hidden"), { once: true });
  }
});
