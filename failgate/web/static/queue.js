// The reviewer's page: choose, read, decide; by mouse or keys; live. It works as plain links and forms without this file.
import { age, now, setClock, startClocks } from "./countdown.js";
import { fetchFragment } from "./fragment.js";
import { moveOn } from "./leaving.js";
import { connect } from "./live.js";
import { castVote } from "./vote.js";

const TAKE_BACK_MS = 900; // a vote by key can be taken back for so long
const SETTLE_MS = 700; // a vote on a request that appeared by itself waits until it was seen for so long
const POLL_MS = 4000; // how often to look while the live connection is down
const PRESS_MS = 1000; // what is pressed is left where it is for so long at most

const root = /** @type {HTMLElement} */ (document.querySelector("[data-queue], [data-command-page]"));
const isQueue = root.hasAttribute("data-queue");
const workspace = root.dataset.workspace ?? "";
const announce = document.querySelector("[data-announce]");
const keys = /** @type {HTMLDialogElement | null} */ (document.querySelector("[data-keys]"));
const baseTitle = document.title.replace(/^\(\d+\) /, "");

/** @type {{ timer: number, send: () => void } | null} */
let pending = null;
let isSending = false;
let decidedId = "";
let settledAt = 0;
let isFetching = false;
let isStale = false;
let pressedAt = -Infinity;
let poll = 0;
let refreshTimer = 0;

const $ = (/** @type {string} */ selector) => /** @type {HTMLElement | null} */ (root.querySelector(selector));
const detail = () => /** @type {HTMLElement} */ ($("[data-detail]"));
const rows = () => /** @type {HTMLElement[]} */ ([...root.querySelectorAll("[data-rail] [data-id]")]);

/** Say a sentence in the bar of the decision, and to screen readers. @param {string} text @param {string} [kind] */
function say(text, kind = "") {
  const place = $("[data-say]");
  if (place) {
    place.textContent = text;
    place.setAttribute("data-say", kind);
  } else if (announce) announce.textContent = text;
}

/** @returns {string} the address of what is shown */
function address() {
  const id = detail().dataset.id ?? "";
  if (!isQueue) return location.pathname + location.search;
  return id ? `/w/${workspace}/queue?c=${encodeURIComponent(id)}` : `/w/${workspace}/queue`;
}

/** Put the rail that the server sent in the place of ours, keeping focus and scroll. @param {Document} page */
function swapRail(page) {
  const fresh = /** @type {HTMLElement | null} */ (page.querySelector("[data-rail]"));
  const rail = $("[data-rail]");
  if (!fresh || !rail) return;
  setClock(fresh.dataset.now);
  const known = new Set(rows().map((row) => row.dataset.id));
  const focused = document.activeElement instanceof HTMLElement && rail.contains(document.activeElement) ? document.activeElement.dataset.id : "";
  const scroll = rail.scrollTop;
  rail.replaceChildren(...fresh.childNodes);
  rail.scrollTop = scroll;
  mark(detail().dataset.id ?? "");
  if (focused) rows().find((row) => row.dataset.id === focused)?.focus({ preventScroll: true });
  const arrived = [...root.querySelectorAll("[data-list] [data-id]")].filter((row) => !known.has(row.getAttribute("data-id") ?? ""));
  for (const row of arrived) row.classList.add("fresh");
  if (arrived.length && announce) {
    announce.textContent = arrived.length === 1 ? `New request: ${arrived[0].textContent?.replace(/\s+/g, " ").trim()}` : `${arrived.length} new requests`;
  }
  showCount(Number(fresh.dataset.count ?? "0"));
}

/** Put the request that the server sent in the place of ours, when it says anything new. @param {Document} page @param {boolean} isAsked */
function swapDetail(page, isAsked) {
  const fresh = /** @type {HTMLElement | null} */ (page.querySelector("[data-detail]"));
  const old = detail();
  if (!fresh) return;
  const isSame = fresh.dataset.id === old.dataset.id;
  if (isSame && fresh.dataset.version === old.dataset.version) return;
  const note = /** @type {HTMLInputElement | null} */ (old.querySelector("[data-note]"))?.value ?? "";
  const hadNote = document.activeElement?.hasAttribute("data-note") ?? false;
  const expanded = isSame && !old.querySelector("[data-collapsed]");
  old.dataset.id = fresh.dataset.id ?? "";
  old.dataset.version = fresh.dataset.version ?? "";
  old.replaceChildren(...fresh.childNodes);
  if (!isSame) old.scrollTop = 0;
  if (expanded) expandAll();
  const field = /** @type {HTMLInputElement | null} */ ($("[data-note]"));
  if (isSame && field) {
    field.value = note;
    if (hadNote) field.focus({ preventScroll: true });
  }
  if (!isAsked) settledAt = now() + SETTLE_MS;
}

/** Ask the server what stands now. @param {string} path @param {boolean} isAsked whether the person chose what is fetched */
async function refresh(path = address(), isAsked = false) {
  if (isFetching && !isAsked) {
    isStale = true;
    return;
  }
  isFetching = true;
  try {
    const page = await fetchFragment(path);
    // An answer that comes late is for a request that is no longer shown. A press that has begun is a click only when
    // it ends on the same element.
    if (page && !isAsked && performance.now() - pressedAt < PRESS_MS) isStale = true;
    else if (page && (isAsked || path === address())) {
      const state = $("[data-live]")?.dataset.state ?? "connecting"; // of ours: the server's page knows no socket
      swapDetail(page, isAsked); // before the rail, which marks the request that is shown
      swapRail(page);
      showState(state);
      age();
    }
  } catch {
    showState("reconnecting");
  } finally {
    isFetching = false;
  }
  if (isStale) {
    isStale = false;
    soon();
  }
}

/** Refresh soon, once for many events. */
function soon() {
  clearTimeout(refreshTimer);
  refreshTimer = window.setTimeout(() => refresh(), 60);
}

/** @param {string} state */
function showState(state) {
  const word = state === "ended" ? "signed out" : state;
  for (const place of document.querySelectorAll("[data-live]")) {
    if (place.getAttribute("data-state") === state) continue;
    place.setAttribute("data-state", state);
    place.textContent = word;
  }
}

/** @param {number} count */
function showCount(count) {
  for (const place of document.querySelectorAll("[data-queue-count]")) place.textContent = count ? String(count) : "";
  if (isQueue) document.title = count ? `(${count}) ${baseTitle}` : baseTitle;
}

/** @param {string} id */
function mark(id) {
  for (const row of rows()) {
    if (row.dataset.id === id) row.setAttribute("aria-current", "true");
    else row.removeAttribute("aria-current");
  }
}

/** Show the request `id`. @param {string} id @param {boolean} [isPushed] */
async function choose(id, isPushed = true) {
  pending?.send();
  mark(id);
  const path = `/w/${workspace}/queue${id ? `?c=${encodeURIComponent(id)}` : ""}`;
  if (isPushed) history.pushState({ id }, "", path);
  root.dataset.pane = id ? "detail" : "list";
  if (!id) return;
  await refresh(path, true);
  rows().find((row) => row.dataset.id === id)?.scrollIntoView({ block: "nearest" });
  if (matchMedia("(max-width: 760px)").matches) scrollTo(0, 0);
}

/** @param {number} step */
function move(step) {
  const all = rows();
  const place = all.findIndex((row) => row.dataset.id === detail().dataset.id);
  // After one's own decision the next request is the first that waits, wherever the decided one has gone.
  const isDecided = detail().dataset.id === decidedId;
  const row = all[place < 0 || isDecided ? 0 : Math.max(0, Math.min(all.length - 1, place + step))];
  decidedId = "";
  if (row && row.dataset.id !== detail().dataset.id) {
    choose(row.dataset.id ?? "");
    row.focus({ preventScroll: true });
  }
}

/** Expand everything that is collapsed, and let the decision be made. */
function expandAll() {
  for (const text of detail().querySelectorAll("[data-collapsed]")) expand(text);
}

/** @param {Element} text */
function expand(text) {
  text.removeAttribute("data-collapsed");
  for (const button of text.querySelectorAll("[data-expand]")) button.remove();
  if (text.hasAttribute("data-argv")) $("[data-late]")?.remove();
  if (detail().querySelector("[data-collapsed]")) return;
  const approve = /** @type {HTMLButtonElement | null} */ ($("[data-approve]"));
  if (approve?.disabled) {
    approve.disabled = false;
    say("Everything is shown. Read it to the end.");
  }
}

/** @typedef {import("./vote.js").Decision} Decision */
/** @type {Map<Decision, { doing: string, done: string }>} */
const SAID = new Map([
  ["approve", { doing: "Approving", done: "Your approval counted." }],
  ["deny", { doing: "Denying", done: "Your denial counted." }],
  ["changes", { doing: "Requesting changes", done: "The agent is told what to change." }],
]);

/** @param {Decision} decision @param {boolean} byKey */
function decide(decision, byKey) {
  const form = $("[data-act]");
  if (!form || isSending || pending) return;
  if (decision === "approve" && detail().querySelector("[data-collapsed]")) {
    say("Show the collapsed text before you approve: x", "wait");
    return;
  }
  const field = /** @type {HTMLInputElement} */ ($("[data-note]"));
  const note = field.value.trim();
  if (decision === "changes" && !note) {
    say("Say what to change, then request it.", "wait");
    field.focus();
    return;
  }
  const typed = /** @type {HTMLInputElement | null} */ ($("[data-confirm]"));
  if (decision === "approve" && typed && typed.value.trim() !== typed.dataset.confirm) {
    say("Type the name of the host as it stands there, then approve.", "wait");
    typed.focus();
    return;
  }
  const confirm = typed?.value.trim() ?? "";
  const { id = "", digest = "" } = form.dataset;
  const send = () => {
    if (pending) clearTimeout(pending.timer);
    pending = null;
    vote(id, digest, decision, note, confirm);
  };
  // A request that has just appeared by itself may be another than the one that the hand meant: its vote can be taken back too.
  const wait = Math.max(byKey ? TAKE_BACK_MS : 0, settledAt - now());
  if (wait <= 0) {
    send();
    return;
  }
  pending = { timer: window.setTimeout(send, wait), send };
  say(`${SAID.get(decision)?.doing} … Esc takes it back`, "wait");
}

/** @param {string} id @param {string} digest @param {Decision} decision @param {string} note @param {string} confirm */
async function vote(id, digest, decision, note, confirm) {
  isSending = true;
  const isShown = () => detail().dataset.id === id;
  const buttons = /** @type {HTMLButtonElement[]} */ ([...root.querySelectorAll("[data-act] button")]);
  for (const button of buttons) button.disabled = true;
  if (isShown()) say("Sending your vote …");
  const voted = await castVote(workspace, id, decision, digest, note, confirm);
  isSending = false;
  if (!voted.ok && (voted.slug === "step-up-required" || voted.status === 401)) {
    location.assign(`${voted.status === 401 ? "/signin" : "/account/step-up"}?next=${encodeURIComponent(address())}`);
    return;
  }
  for (const button of buttons) button.disabled = false;
  if (voted.ok) decidedId = id;
  if (voted.ok) toast(SAID.get(decision)?.done ?? "");
  else if (isShown() && (voted.status !== 409 || voted.state === "pending")) say(voted.sentence, "bad");
  else toast(voted.sentence, true);
  if (voted.ok || voted.status === 404 || (voted.status === 409 && voted.state !== "pending")) await refresh();
}

/** Tell something that stays true after the page has changed. @param {string} text @param {boolean} [isBad] */
function toast(text, isBad = false) {
  document.querySelector(".toast")?.remove();
  const box = document.createElement("div");
  box.className = "toast";
  box.setAttribute("role", isBad ? "alert" : "status");
  box.textContent = text;
  document.body.append(box);
  setTimeout(() => box.remove(), isBad ? 9000 : 4000);
}

document.addEventListener("click", (event) => {
  const target = event.target instanceof Element ? event.target : null;
  if (!target) return;
  const row = /** @type {HTMLElement | null} */ (target.closest("[data-rail] [data-id]"));
  const plain = !(event.ctrlKey || event.metaKey || event.shiftKey || event.button);
  if (row && plain) {
    event.preventDefault();
    choose(row.dataset.id ?? "");
  } else if (target.closest("[data-back]") && isQueue && plain) {
    event.preventDefault();
    choose("");
  } else if (target.closest("[data-next]") && plain && $("[data-list] [data-id]")) {
    event.preventDefault();
    choose($("[data-list] [data-id]")?.dataset.id ?? "");
  } else if (target.closest("[data-show-keys]")) keys?.showModal();
  else if (target.closest("[data-expand-all]")) expand(/** @type {Element} */ ($("[data-argv]")));
  else {
    const text = target.closest(".token[data-collapsed]");
    if (text) expand(text);
  }
});

document.addEventListener("submit", (event) => {
  const form = event.target instanceof Element ? event.target.closest("[data-act]") : null;
  if (!form) return;
  const button = /** @type {SubmitEvent} */ (event).submitter;
  if (["deny-alike", "mute"].includes(button?.getAttribute("value") ?? "")) return; // the page of the answer says what stands
  event.preventDefault();
  if (!button) return;
  decide(/** @type {Decision} */ (button.getAttribute("value")), false);
});

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || keys?.open) return;
  const field = /** @type {HTMLInputElement | null} */ ($("[data-note]"));
  if (event.key === "Escape") {
    if (pending) {
      clearTimeout(pending.timer);
      pending = null;
      say("Taken back. Nothing was sent.");
    } else if (document.activeElement === field) field?.blur();
    return;
  }
  if (event.target instanceof HTMLInputElement || event.target instanceof HTMLTextAreaElement || event.target instanceof HTMLSelectElement) {
    // Enter in the reason field would press the first button of the form: it decides nothing.
    if (event.key === "Enter" && (event.target === field || event.target.matches("[data-confirm]"))) event.preventDefault();
    return;
  }
  /** @type {Map<string, () => void>} */
  const acts = new Map([
    ["j", () => void (isQueue && move(1))],
    ["k", () => void (isQueue && move(-1))],
    ["a", () => decide("approve", true)],
    ["d", () => decide("deny", true)],
    ["c", () => decide("changes", true)],
    ["e", () => $("[data-edit]")?.click()],
    ["l", () => $("[data-further]")?.click()],
    ["r", () => field?.focus()],
    ["x", expandAll],
    ["?", () => keys?.showModal()],
  ]);
  const act = acts.get(event.key);
  if (act) {
    event.preventDefault();
    act();
  }
});

if (isQueue) {
  addEventListener("popstate", () => choose(new URLSearchParams(location.search).get("c") ?? "", false));
}
addEventListener("pagehide", () => pending?.send());
addEventListener("pointerdown", () => { pressedAt = performance.now(); }, true);
for (const end of ["click", "pointercancel", "dragend"]) addEventListener(end, () => { pressedAt = -Infinity; }, true);

setClock(root.dataset.now);
startClocks();
connect({
  path: `/api/v1/live?workspace=${encodeURIComponent(workspace)}`,
  onEvent(message) {
    document.dispatchEvent(new CustomEvent("failgate:live", { detail: message }));
    soon();
  },
  onState(state) {
    showState(state);
    clearInterval(poll);
    if (state === "live") soon();
    else if (state === "reconnecting") poll = window.setInterval(soon, POLL_MS);
    else moveOn(() => location.reload());
  },
});
