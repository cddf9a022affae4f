// The live connection: tells when something happened, says whether it stands, and comes back by itself.

/**
 * @param {{ path: string, onEvent: (message: unknown) => void, onState: (state: "live" | "reconnecting" | "ended") => void }} options
 * @returns {{ close: () => void }}
 */
export function connect({ path, onEvent, onState }) {
  let attempt = 0;
  let timer = 0;
  let isClosed = false;
  /** @type {WebSocket | null} */
  let socket = null;

  function open() {
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    socket = new WebSocket(`${scheme}//${location.host}${path}`);
    socket.addEventListener("open", () => {
      attempt = 0;
      onState("live");
    });
    socket.addEventListener("message", (event) => onEvent(parse(event.data)));
    socket.addEventListener("close", (event) => {
      if (isClosed) return;
      // 4401: the session ended; 4403: the role was lost. Trying again would not help; the next page says what to do.
      if (event.code === 4401 || event.code === 4403) {
        onState("ended");
        return;
      }
      onState("reconnecting");
      attempt += 1;
      const wait = Math.min(8000, 250 * 2 ** attempt) * (0.6 + 0.4 * Math.random());
      timer = window.setTimeout(open, wait);
    });
  }

  open();
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "visible" && socket?.readyState === WebSocket.CLOSED && !isClosed) {
      clearTimeout(timer);
      open();
    }
  });
  return {
    close() {
      isClosed = true;
      clearTimeout(timer);
      socket?.close();
    },
  };
}

/** @param {unknown} text @returns {unknown} */
function parse(text) {
  try {
    return JSON.parse(String(text));
  } catch {
    return null;
  }
}
