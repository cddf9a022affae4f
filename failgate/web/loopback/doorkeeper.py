"""What stands before every page of the review: it judges, sets the headers, and answers what is refused."""

import time
from typing import Final

from failgate.web.asgi import App, Message, Receive, Scope, Send
from failgate.web.headers import new_nonce, security_headers
from failgate.web.loopback.entry import Entry, Verdict
from failgate.web.pages.frame import Frame
from failgate.web.render import render, static_version

NONCE: Final = "failgate.nonce"
_REFUSED: Final[dict[Verdict, tuple[int, str]]] = {
    "nothing": (404, "There is nothing here."),
    "wrong host": (421, "This is no address of the review. Use the link that the terminal shows."),
    "foreign": (403, "This did not come from the page of the review."),
    "wrong method": (405, "This is not how the review is asked."),
}


class Doorkeeper:
    """The outermost layer of the application; `touched` is when somebody who may was here last (monotonic seconds)."""

    def __init__(self, entry: Entry, inner: App) -> None:
        """Let through to `inner` what `entry` allows."""
        self._entry = entry
        self._inner = inner
        self.touched = time.monotonic()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        verdict = self._entry.judge(scope)
        nonce = new_nonce()
        send = _with_headers(nonce, send)
        if verdict in _REFUSED:
            status, sentence = _REFUSED[verdict]
            await _answer(send, status, sentence, "text/plain; charset=utf-8")
        elif verdict == "enter":
            cookie = self._entry.spend()
            self.touched = time.monotonic()
            frame = Frame("Review", nonce, "", static_version())
            text = render("loopback/enter.html", frame=frame, place=self._entry.place)
            await _answer(send, 200, text, "text/html; charset=utf-8", cookie)
        elif verdict == "spent":
            frame = Frame("This link was used", nonce, "", static_version())
            await _answer(send, 403, render("loopback/spent.html", frame=frame), "text/html; charset=utf-8")
        else:
            scope[NONCE] = nonce
            if verdict == "inside":
                self.touched = time.monotonic()
                scope["path"] = scope["path"][len(self._entry.place) :]
                scope["raw_path"] = scope["path"].encode("utf-8", "surrogatepass")
            await self._inner(scope, receive, send)


def _with_headers(nonce: str, send: Send) -> Send:
    """Return a `send` whose every answer carries the security headers; forms of ours name their origin."""
    ours = security_headers(nonce, is_https=False, is_trustworthy=False, reports_to=None)

    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            given = list(message.get("headers", ()))
            names = {name.lower() for name, _ in given}
            message = {**message, "headers": given + [pair for pair in ours if pair[0] not in names]}
        await send(message)

    return send_with_headers


async def _answer(send: Send, status: int, text: str, media_type: str, cookie: str | None = None) -> None:
    body = text.encode()
    headers = [(b"content-type", media_type.encode()), (b"content-length", str(len(body)).encode())]
    if cookie is not None:
        headers.append((b"set-cookie", cookie.encode("ascii")))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
