// The colour theme: as the system, light or dark; kept in this browser alone.
const KEY = "failgate-theme";
const THEMES = ["auto", "light", "dark"];

/** @returns {string} the theme that was chosen here */
function chosen() {
  try {
    const kept = localStorage.getItem(KEY) ?? "auto";
    return THEMES.includes(kept) ? kept : "auto";
  } catch {
    return "auto";
  }
}

/** @param {string} theme */
function apply(theme) {
  document.documentElement.dataset.theme = theme;
  for (const button of document.querySelectorAll("[data-theme-choice]")) {
    button.setAttribute("aria-pressed", String(button.getAttribute("data-theme-choice") === theme));
  }
}

apply(chosen());
document.addEventListener("DOMContentLoaded", () => apply(chosen()));
document.addEventListener("click", (event) => {
  const button = event.target instanceof Element ? event.target.closest("[data-theme-choice]") : null;
  if (!button) return;
  const theme = button.getAttribute("data-theme-choice") ?? "auto";
  try {
    localStorage.setItem(KEY, theme);
  } catch {
    // A browser that keeps nothing still shows the theme until the next page.
  }
  apply(theme);
});
addEventListener("storage", () => apply(chosen()));
