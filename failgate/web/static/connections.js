// The pages about identity providers: a metadata file is read into its field, addresses follow the short name.
const field = document.querySelector("[data-metadata]");
const chooser = document.querySelector("[data-metadata-file]");
if (field instanceof HTMLTextAreaElement && chooser instanceof HTMLInputElement) {
  chooser.hidden = false;
  chooser.addEventListener("change", async () => {
    const file = chooser.files?.[0];
    if (file && file.size <= 262144) field.value = await file.text();
  });
}

const slug = document.querySelector("input#slug[required]");
const addresses = [...document.querySelectorAll("[data-address]")];
if (slug instanceof HTMLInputElement && addresses.length > 0) {
  const before = addresses.map((one) => one.textContent ?? "");
  const shown = slug.value || "short-name";
  slug.addEventListener("input", () => {
    addresses.forEach((one, place) => {
      one.textContent = (before[place] ?? "").replace(`/sso/${shown}/`, `/sso/${slug.value || "short-name"}/`);
    });
  });
}
