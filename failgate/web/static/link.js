// The page that opens a link: what stands behind the # is posted, and taken out of the address and the history first.
const form = document.querySelector("form[data-link]");
const token = location.hash.slice(1);
if (form instanceof HTMLFormElement && token) {
  history.replaceState(null, "", location.pathname);
  const field = form.elements.namedItem("token");
  if (field instanceof HTMLInputElement) {
    field.value = token;
    form.submit();
  }
}
