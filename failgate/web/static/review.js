// The review of a local report: words that are selected can be replaced, an upload shows how far it is.

const form = document.querySelector("[data-selection]");
const field = document.querySelector("[data-selected]");
if (form instanceof HTMLFormElement && field instanceof HTMLInputElement) {
  // A press on the button would take the selection away before it counts.
  form.addEventListener("pointerdown", (event) => event.preventDefault());
  document.addEventListener("selectionchange", () => {
    const chosen = getSelection();
    const node = chosen?.anchorNode;
    const start = node instanceof Element ? node : node?.parentElement;
    const text = chosen?.toString() ?? "";
    const isOurs = Boolean(start?.closest("[data-preview]")) && text.trim().length > 2 && text.length < 20000;
    if (isOurs) field.value = text;
    form.hidden = !isOurs && !form.contains(document.activeElement);
  });
}

// Keys: j and k go to the next artifact and the one before.
const links = [...document.querySelectorAll("[data-items] a")];
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target instanceof HTMLInputElement) return;
  const step = event.key === "j" ? 1 : event.key === "k" ? -1 : 0;
  const here = links.findIndex((one) => one.hasAttribute("aria-current"));
  const next = step ? links[here + step] : undefined;
  if (next instanceof HTMLAnchorElement) next.click();
});

const root = document.querySelector("[data-progress]");
if (root instanceof HTMLElement) {
  const bar = root.querySelector("[data-bar]");
  /** @param {string} part @param {string} text */
  const write = (part, text) => {
    const place = root.querySelector(part);
    if (place && place.textContent !== text) place.textContent = text;
  };
  const look = async () => {
    try {
      const answer = await fetch(root.dataset.progress ?? "", { credentials: "same-origin" });
      const facts = await answer.json();
      if (facts.phase !== "sending") {
        location.reload();
        return;
      }
      if (bar instanceof HTMLProgressElement) {
        bar.max = Math.max(1, facts.total);
        bar.value = facts.sent;
      }
      write("[data-about]", facts.about);
      write("[data-name]", facts.name);
      write("[data-note]", facts.note);
    } catch {
      write("[data-note]", "The command that answers this page has ended. Start the review again: what arrived stays.");
      return;
    }
    setTimeout(look, 300);
  };
  look();
}
