// A page that goes on by itself, to an identity provider or back from one: what could be pressed is pressed.
const way = document.querySelector("[data-leave]");
if (way instanceof HTMLFormElement) way.submit();
else if (way instanceof HTMLAnchorElement) location.replace(way.href);
