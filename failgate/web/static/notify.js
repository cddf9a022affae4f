// Notifications of the browser itself: asked for by a click, fed by the live connection, no service of anybody else.
// Off until the person switches it on in this browser. A page of a workspace has to be open, in whatever window.
import { connect } from "./live.js";

const KEPT = "failgate-notify";
const ENDED = new Set(["approved", "denied", "expired", "cancelled", "quarantined"]);

const frame = document.querySelector("[data-notify-workspace]");
const workspace = frame instanceof HTMLElement ? (frame.dataset.notifyWorkspace ?? "") : "";
const live = document.querySelector("[data-queue], [data-command-page]");
/** @type {Map<string, Notification>} */
const open = new Map();
/** @type {{ close: () => void } | null} */
let connection = null;

const isThere = () => "Notification" in window;
const isOn = () => isThere() && Notification.permission === "granted" && localStorage.getItem(KEPT) === "on";

/** Write on every switch what it does now. */
function paint() {
  for (const button of document.querySelectorAll("[data-notify]")) {
    if (!(button instanceof HTMLButtonElement)) continue;
    const label = isOn() ? "Stop notifying me here" : "Notify me in this browser";
    if (button.textContent !== label) button.textContent = label;
    button.setAttribute("aria-pressed", String(isOn()));
    button.hidden = !isThere();
  }
}

/** @param {string} text */
function say(text) {
  const place = document.querySelector("[data-notify-says]");
  if (place) place.textContent = text;
}

async function toggle() {
  if (isOn()) {
    localStorage.setItem(KEPT, "off");
    say("Off in this browser.");
  } else if ((await Notification.requestPermission()) === "granted") {
    localStorage.setItem(KEPT, "on");
    say("On. Keep a page of the workspace open.");
  } else {
    say("The browser does not allow it for this address: its settings say why.");
  }
  paint();
  follow();
}

/**
 * What is said comes from the server, which redacts it: a locked screen shows it to whoever passes.
 * @param {string} id @param {string} path @param {boolean} isAsking
 */
async function tell(id, path, isAsking) {
  try {
    const answer = await fetch(`/api/v1/workspaces/${encodeURIComponent(workspace)}/commands/${id}/notice`, { cache: "no-store" });
    if (!answer.ok) return;
    const { state, title, text } = await answer.json();
    if (isAsking !== (state === "pending")) return; // decided meanwhile
    const shown = new Notification(title, { body: text, tag: `failgate-${id}`, icon: "/static/icon.svg" });
    open.set(id, shown);
    shown.addEventListener("close", () => open.delete(id));
    shown.addEventListener("click", () => {
      window.focus();
      shown.close();
      location.assign(path);
    });
  } catch {
    say("This browser shows no notifications from a page.");
  }
}

/** @param {any} message */
function hear(message) {
  if (message?.type !== "command" || !isOn()) return;
  const { event, command } = message;
  if (ENDED.has(event)) {
    open.get(command.id)?.close();
    open.delete(command.id);
  }
  const isLooking = document.visibilityState === "visible" && document.hasFocus();
  if (isLooking && live) return;
  if (event === "created") {
    tell(command.id, `/w/${workspace}/queue?c=${command.id}`, true);
  } else if (ENDED.has(event) && live?.hasAttribute("data-command-page") && location.pathname.endsWith(command.id)) {
    tell(command.id, location.pathname, false);
  }
}

/** Listen where no other part of the page does. */
function follow() {
  if (!workspace || live) return;
  if (isOn() && !connection) {
    connection = connect({
      path: `/api/v1/live?workspace=${encodeURIComponent(workspace)}`,
      onEvent: hear,
      onState: () => {},
    });
  } else if (!isOn() && connection) {
    connection.close();
    connection = null;
  }
}

document.addEventListener("failgate:live", (event) => hear(/** @type {CustomEvent} */ (event).detail));
document.addEventListener("click", (event) => {
  if (event.target instanceof Element && event.target.closest("[data-notify]")) toggle();
});
// The list of requests is put anew when something happens, with its switch.
new MutationObserver(paint).observe(document.body, { childList: true, subtree: true });
addEventListener("storage", (event) => {
  if (event.key !== KEPT) return;
  paint();
  follow();
});
paint();
follow();
