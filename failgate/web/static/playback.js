// Plays the frames of a recording that the server made: inert text with classes of a fixed set, never markup.
// A recorded shell has more than a report's recording: pauses are skipped here, words are found, what runs is followed.

import { connect } from "./live.js";

/** @typedef {[string, string]} Run */
/** @typedef {[number, Record<string, Run[]>]} Frame */

const KNOWN = /^(?:(?:[fb]\d\d?|front|back|bold|italic|under|strike)(?: |$))*$/;
const STEP = 5000;
const LONGEST_PAUSE = 2000;

/** @param {HTMLElement} root */
async function start(root) {
  const screen = root.querySelector("[data-screen]");
  const bars = [...root.querySelectorAll("[data-controls]")];
  const button = root.querySelector("[data-play]");
  const seek = root.querySelector("[data-seek]");
  const clock = root.querySelector("[data-clock]");
  const speed = root.querySelector("[data-speed]");
  if (!(screen instanceof HTMLElement && button instanceof HTMLButtonElement)) return;
  if (!(seek instanceof HTMLInputElement && clock instanceof HTMLElement && speed instanceof HTMLSelectElement)) return;
  const skip = root.querySelector("[data-skip]");
  const calm = matchMedia("(prefers-reduced-motion: reduce)");
  const rows = [...screen.children];
  /** @type {Frame[] | null} */
  let frames = null;
  let shown = -1;
  let at = Number(seek.max);
  let before = 0;
  let running = false;
  let length = Number(seek.max);
  let isFollowing = false;

  const say = () => {
    const seconds = (/** @type {number} */ one) => (one / 1000).toFixed(1);
    clock.textContent = `${seconds(at)} of ${seconds(length)} s`;
    seek.value = String(Math.round(at));
    seek.setAttribute("aria-valuetext", clock.textContent);
    button.textContent = running ? "Pause" : calm.matches ? "Next step" : "Play";
  };

  /** @param {number} number @param {Run[]} runs */
  const write = (number, runs) => {
    const row = rows[number];
    if (!row) return;
    row.replaceChildren(
      ...runs.map(([text, style]) => {
        if (!style || !KNOWN.test(style)) return text;
        const one = document.createElement("span");
        one.className = style;
        one.textContent = text;
        return one;
      }),
    );
  };

  const show = () => {
    if (!frames) return;
    let upto = shown;
    if (shown >= 0 && (frames[shown]?.[0] ?? 0) > at) {
      upto = -1;
      for (let number = 0; number < rows.length; number += 1) write(number, []);
    }
    /** @type {Map<number, Run[]>} */
    const changed = new Map();
    while (upto + 1 < frames.length && (frames[upto + 1]?.[0] ?? Infinity) <= at) {
      upto += 1;
      for (const [number, runs] of Object.entries(frames[upto]?.[1] ?? {})) changed.set(Number(number), runs);
    }
    for (const [number, runs] of changed) write(number, runs);
    shown = upto;
  };

  const load = async () => {
    if (frames) return true;
    const answer = await fetch(root.dataset.playback ?? "", { credentials: "same-origin" });
    if (!answer.ok) return false;
    frames = (await answer.json()).frames;
    shown = (frames?.length ?? 0) - 1;
    return true;
  };

  /** @param {number} time */
  const tick = (time) => {
    if (!running) return;
    at = Math.min(length, at + (time - before) * Number(speed.value));
    before = time;
    if (skip instanceof HTMLInputElement && skip.checked) {
      const next = frames?.[shown + 1]?.[0] ?? length;
      if (next - at > LONGEST_PAUSE) at = next;
    }
    show();
    if (at >= length) running = false;
    say();
    if (running) requestAnimationFrame(tick);
  };

  /** @param {number} place */
  const go = async (place) => {
    isFollowing = false;
    if (!(await load())) return;
    at = Math.max(0, Math.min(length, place));
    show();
    say();
  };

  /** @param {number} direction */
  const step = async (direction) => {
    running = false;
    if (!(await load()) || !frames) return;
    const times = frames.map((one) => one[0]);
    const next = direction > 0 ? times.find((one) => one > at) : times.findLast((one) => one < at);
    await go(next ?? (direction > 0 ? length : 0));
  };

  const toggle = async () => {
    if (!(await load())) return;
    if (at >= length) await go(0);
    if (calm.matches) {
      await step(1);
      return;
    }
    running = !running;
    before = performance.now();
    say();
    if (running) requestAnimationFrame(tick);
  };

  const find = root.querySelector("[data-find]");
  const found = root.querySelector("[data-found]");
  /** Goes to the next frame in which the word appears anew, from the beginning again after the last one. */
  const findNext = async () => {
    if (!(find instanceof HTMLInputElement && found instanceof HTMLElement) || !(await load()) || !frames) return;
    const word = find.value.toLowerCase();
    if (!word) return;
    /** @param {Run[]} runs */
    const has = (runs) => runs.map(([text]) => text).join("").toLowerCase().includes(word);
    const times = frames.filter((one) => Object.values(one[1]).some(has)).map((one) => one[0]);
    const next = times.find((one) => one > at) ?? times[0];
    found.textContent = next === undefined ? "not found" : `${times.indexOf(next) + 1} of ${times.length}`;
    running = false;
    if (next !== undefined) await go(next);
  };
  root.querySelector("[data-find-next]")?.addEventListener("click", findNext);
  find?.addEventListener("keydown", (event) => {
    if (!(event instanceof KeyboardEvent) || event.key !== "Enter") return;
    event.preventDefault();
    findNext();
  });
  for (const one of document.querySelectorAll("[data-seek-to]")) {
    if (!(one instanceof HTMLElement)) continue;
    one.addEventListener("click", async () => {
      running = false;
      await go(Number(one.dataset.seekTo));
      if (!root.contains(one)) root.scrollIntoView({ block: "nearest" });
    });
  }

  /** What runs is followed: frames come as they are made, and the newest is shown until one looks back. */
  const follow = (/** @type {string} */ path) => {
    frames = [];
    shown = -1;
    isFollowing = true;
    const live = connect({
      path,
      onState: (state) => {
        root.dataset.state = state;
        if (state === "reconnecting") {
          frames = [];
          shown = -1;
        }
      },
      onEvent: (message) => {
        const { at: now, frames: more, state } = /** @type {{ at?: number, frames?: Frame[], state?: string }} */ (
          message ?? {}
        );
        if (!frames || typeof now !== "number" || !Array.isArray(more)) return;
        frames.push(...more);
        length = now;
        seek.max = String(now);
        if (isFollowing) {
          at = now;
          show();
        }
        say();
        if (state === "live") return;
        live.close();
        location.reload(); // what it came to, and all of its commands
      },
    });
  };

  button.addEventListener("click", toggle);
  seek.addEventListener("input", () => go(Number(seek.value)));
  root.addEventListener("keydown", (event) => {
    if (event.target === seek || event.target === speed || event.target === find || event.ctrlKey || event.metaKey || event.altKey) return;
    /** @type {Map<string, () => void>} */
    const acts = new Map([
      [" ", toggle],
      ["ArrowLeft", () => go(at - STEP)],
      ["ArrowRight", () => go(at + STEP)],
      [",", () => step(-1)],
      [".", () => step(1)],
      ["Home", () => go(0)],
      ["End", () => go(length)],
    ]);
    const act = acts.get(event.key);
    if (!act || (event.key === " " && event.target === button)) return;
    event.preventDefault();
    act();
  });
  for (const bar of bars) if (bar instanceof HTMLElement) bar.hidden = false;
  say();
  if (root.dataset.live) follow(root.dataset.live);
}

for (const root of document.querySelectorAll("[data-playback]")) if (root instanceof HTMLElement) start(root);
