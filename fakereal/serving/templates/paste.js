() => {
  document.querySelectorAll(".fr .origin").forEach((place) => { place.textContent = location.origin; });
  document.addEventListener("paste", (event) => {
    const input = document.querySelector("#images input[type=file]");
    if (!input || !event.clipboardData.files.length) return;
    const pasted = new DataTransfer();
    for (const file of event.clipboardData.files) pasted.items.add(file);
    input.files = pasted.files;
    input.dispatchEvent(new Event("change", { bubbles: true }));
  });
}
