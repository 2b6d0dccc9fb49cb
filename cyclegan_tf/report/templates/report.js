"use strict";

// Without this script, the page lacks only other epochs and enlarged images.

const slider = document.querySelector(".slider");
if (slider) {
  const sheets = [...document.querySelectorAll(".sheets img")];
  const input = slider.querySelector("input");
  const show = () => {
    sheets.forEach((sheet, i) => { sheet.hidden = i !== Number(input.value); });
    const { epoch } = sheets[input.value].dataset;
    slider.querySelector("output").textContent = epoch;
    input.setAttribute("aria-valuetext", `epoch ${epoch}`);
  };
  slider.hidden = sheets.length < 2;
  input.addEventListener("input", show);
  show(); // some browsers restore the old position on reload
}

const viewer = document.getElementById("viewer");
let tiles = [];
let current = 0;

function view(i) {
  current = i;
  const tile = tiles[i];
  const labels = [...tile.closest(".gallery").querySelectorAll(".toggle span")];
  const pictures = [...tile.querySelectorAll("img")].map((image, k) => {
    const figure = document.createElement("figure");
    const large = image.cloneNode();
    large.loading = "eager";
    const caption = document.createElement("figcaption");
    caption.append(...labels[k].cloneNode(true).childNodes);
    figure.append(large, caption);
    return figure;
  });
  const caption = tile.nextElementSibling;
  viewer.querySelector(".name").textContent = caption.querySelector(".name").textContent;
  const error = caption.querySelector(".error"); // of images with a way back
  viewer.querySelector(".bar p").hidden = !error;
  viewer.querySelector(".error").textContent = error?.textContent ?? "";
  viewer.querySelector(".pictures").replaceChildren(...pictures);
  viewer.classList.toggle("enlarged", tile.parentElement.classList.contains("enlarged"));
  for (const button of viewer.querySelectorAll("[data-step]")) {
    button.disabled = !tiles[i + Number(button.dataset.step)];
  }
}

function step(by) {
  if (tiles[current + by]) view(current + by);
}

for (const gallery of document.querySelectorAll(".gallery")) {
  gallery.addEventListener("click", (event) => {
    const tile = event.target.closest(".tile");
    if (!tile) return;
    tiles = [...gallery.querySelectorAll(".tile")];
    view(tiles.indexOf(tile));
    viewer.showModal();
  });
}

viewer.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (button && "step" in button.dataset) step(Number(button.dataset.step));
  else if (button || event.target === viewer) viewer.close();
});
viewer.addEventListener("keydown", (event) => {
  if (event.key === "ArrowLeft") step(-1);
  if (event.key === "ArrowRight") step(1);
});
// Focus the tile viewed last, not the one viewed first.
viewer.addEventListener("close", () => tiles[current].focus());
