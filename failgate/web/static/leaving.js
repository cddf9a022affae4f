// A page that moves on by itself, but never while the person is moving it: a second navigation would end theirs.

const LEAVING_MS = 30_000; // a navigation that ended in a download, or nowhere, holds nothing up for longer
let leftAt = -LEAVING_MS;
addEventListener("beforeunload", () => {
  leftAt = performance.now();
});

/**
 * Call `move`, which leads elsewhere; while the page is being left, only if that comes to nothing.
 * @param {() => void} move
 */
export function moveOn(move) {
  const wait = leftAt + LEAVING_MS - performance.now();
  if (wait > 0) window.setTimeout(move, wait);
  else move();
}
