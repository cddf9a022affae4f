// The page that takes the browser to an identity provider: what could be pressed is pressed.
const way = document.querySelector("[data-leave]");
if (way instanceof HTMLFormElement) way.submit();
else if (way instanceof HTMLAnchorElement) location.replace(way.href);
