// Clocks on the page: time left until an expiry, and relative times. The server's clock counts, not this machine's.
let skew = 0;

/** Take the server's time as it stood when the page was made. @param {string | undefined} iso */
export function setClock(iso) {
  const at = Date.parse(iso ?? "");
  if (!Number.isNaN(at)) skew = at - Date.now();
}

/** @returns {number} milliseconds since 1970 by the server's clock */
export function now() {
  return Date.now() + skew;
}

/** @param {number} milliseconds @returns {string} `0:19`, `4:05`, `2:00:00` */
export function clock(milliseconds) {
  const seconds = Math.max(0, Math.ceil(milliseconds / 1000));
  const pad = (/** @type {number} */ part) => String(part).padStart(2, "0");
  const hours = Math.floor(seconds / 3600);
  const minutes = Math.floor(seconds / 60) % 60;
  return hours ? `${hours}:${pad(minutes)}:${pad(seconds % 60)}` : `${minutes}:${pad(seconds % 60)}`;
}

/** @param {number} then @returns {string} `14 s ago` */
export function relative(then) {
  const seconds = Math.floor(Math.abs(now() - then) / 1000);
  if (seconds < 3) return "just now";
  let said = `${seconds} s`;
  if (seconds >= 86400) said = `${Math.floor(seconds / 86400)} d`;
  else if (seconds >= 3600) said = `${Math.floor(seconds / 3600)} h`;
  else if (seconds >= 120) said = `${Math.floor(seconds / 60)} min`;
  return then <= now() ? `${said} ago` : `in ${said}`;
}

/** Write every clock of the page anew. */
export function tick() {
  for (const element of document.querySelectorAll("[data-expires]")) {
    const expires = Date.parse(element.getAttribute("data-expires") ?? "");
    const created = Date.parse(element.getAttribute("data-created") ?? "");
    const rest = expires - now();
    const label = element.querySelector("[data-left]");
    const text = clock(rest);
    if (label && label.textContent !== text) label.textContent = text;
    const share = Math.max(0, Math.min(100, (100 * rest) / Math.max(1, expires - created)));
    element.querySelector("[data-ring]")?.setAttribute("stroke-dasharray", `${share.toFixed(1)} 100`);
    element.toggleAttribute("data-near", rest < 15000);
  }
}

/** Write every relative time anew. */
export function age() {
  for (const element of document.querySelectorAll("time[data-relative]")) {
    const then = Date.parse(element.getAttribute("datetime") ?? "");
    if (now() - then < 30 * 86400000) element.textContent = relative(then);
  }
}

/** Keep the clocks of the page running. */
export function startClocks() {
  tick();
  setInterval(tick, 250);
  setInterval(age, 5000);
}
