// The audit page by keys: j and k move, Enter opens (as of any summary), / goes to the filter.
const all = () => /** @type {HTMLElement[]} */ ([...document.querySelectorAll("[data-records] summary")]);

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const on = event.target instanceof Element ? event.target : null;
  if (on?.closest("input, select, textarea, dialog")) return;
  if (event.key === "/") {
    event.preventDefault();
    const find = document.querySelector("[data-find]");
    if (find instanceof HTMLInputElement) find.select();
  }
  if (event.key !== "j" && event.key !== "k") return;
  const records = all();
  const here = records.indexOf(/** @type {HTMLElement} */ (on?.closest("[data-records] li")?.querySelector("summary")));
  const next = records[here === -1 ? 0 : here + (event.key === "j" ? 1 : -1)];
  if (!next) return;
  event.preventDefault();
  next.focus();
  next.scrollIntoView({ block: "nearest" });
});

// An address that names a record opens it, and so does a page that shows one alone.
const named = document.querySelector(`[data-records] > li${/^#r\d+$/.test(location.hash) ? location.hash : ":only-child"} > details`);
named?.setAttribute("open", "");
