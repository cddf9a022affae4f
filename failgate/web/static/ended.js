// A page whose session is over shows nothing any more, also where the server cannot be reached to say so.

const LATE_MS = 3000; // the server's own word comes first, where it can be heard
const OVER_MS = 500; // in which the server takes the sign-out of another page
const seconds = (/** @type {string | undefined} */ text) => Number(text ?? "") * 1000;
const loaded = Date.now();
const end = loaded + seconds(document.body.dataset.sessionLeft);
const idle = seconds(document.body.dataset.sessionIdle);
let seen = loaded;

// The pages of one browser share their session: what one of them asks keeps it alive for all.
const pages = new BroadcastChannel("failgate-session");
pages.addEventListener("message", (event) => {
  if (event.data === "over") setTimeout(clear, OVER_MS);
  else seen = Date.now();
});
pages.postMessage("seen");
document.addEventListener("submit", (event) => {
  if (event.target instanceof HTMLFormElement && event.target.getAttribute("action") === "/signout") pages.postMessage("over");
});
new PerformanceObserver((list) => {
  const isAnswered = (/** @type {any} */ one) => one.initiatorType === "fetch" && one.responseStatus >= 200 && one.responseStatus < 400;
  if (!list.getEntries().some(isAnswered)) return;
  seen = Date.now();
  pages.postMessage("seen");
}).observe({ type: "resource" });

function clear() {
  clearInterval(timer);
  document.body.replaceChildren();
  document.title = "Failgate";
  location.replace(location.pathname + location.search); // the server says what stands there now
}

function look() {
  if (Date.now() >= Math.min(end, seen + idle) + LATE_MS) clear();
}

const timer = setInterval(look, 1000);
document.addEventListener("visibilitychange", look);
