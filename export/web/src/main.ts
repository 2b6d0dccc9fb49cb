/** The page: what is chosen, what is shown, and what is said about it. */

import type { Accelerator } from "@litertjs/core";

import { takePicture } from "./camera";
import { fittingSize, mirrored } from "./pixels";
import { fetchSample, firstPhoto, sampleModel, samplePhotos } from "./samples";
import { InputError, Translator } from "./translator";

const controls = element("controls", HTMLFieldSetElement);
const modelInput = element("model", HTMLInputElement);
const photoInput = element("photo", HTMLInputElement);
const accelerator = element("accelerator", HTMLSelectElement);
const again = element("again", HTMLButtonElement);
const status = element("status", HTMLParagraphElement);
const inputCanvas = element("input", HTMLCanvasElement);
const resultCanvas = element("result", HTMLCanvasElement);
const save = element("save", HTMLAnchorElement);

let translator: Translator | undefined;
let hasPhoto = false;

modelInput.addEventListener("change", () => attempt(loadModel));
accelerator.addEventListener("change", () => attempt(loadModel));
photoInput.addEventListener("change", () =>
  attempt(() => loadPhoto(photoInput.files?.[0])),
);
element("camera", HTMLButtonElement).addEventListener("click", () =>
  attempt(async () => {
    const picture = await takePicture();
    if (picture) showPhoto(picture);
  }),
);
again.addEventListener("click", () => attempt(async () => {}));
void offerWebGPU();
offerSamples();
void attempt(async () => {
  try {
    await loadFirstPhoto();
  } finally {
    await loadModel();
  }
});

/** Does one thing at a time, translates if it can, and says how it went. */
async function attempt(action: () => Promise<void>): Promise<void> {
  controls.disabled = true;
  try {
    await action();
    if (translator && hasPhoto) await translatePhoto(translator);
    else say(nextStep());
  } catch (error) {
    if (!(error instanceof InputError)) console.error(error);
    say(
      error instanceof InputError
        ? error.message
        : `This browser cannot do it (${error}); try a newer one.`,
      "error",
    );
  } finally {
    controls.disabled = false;
    again.disabled = !(translator && hasPhoto);
  }
}

function nextStep(): string {
  const missing = [!translator && "a generator", !hasPhoto && "a photo"];
  return `Choose ${missing.filter(Boolean).join(" and ")}.`;
}

async function loadModel(): Promise<void> {
  translator?.delete();
  translator = undefined;
  clearResult();
  const chosen = modelInput.files?.[0];
  const file = chosen ?? (sampleModel && (await fetchSample(sampleModel)));
  if (!file) return;
  say(`Loading ${file.name}...`);
  translator = await Translator.load(file, accelerator.value as Accelerator);
}

async function loadFirstPhoto(): Promise<void> {
  // Browsers keep the choice when a page is loaded again.
  const chosen = photoInput.files?.[0];
  await loadPhoto(chosen ?? (firstPhoto && (await fetchSample(firstPhoto))));
}

async function loadPhoto(file: File | undefined): Promise<void> {
  if (!file) return;
  try {
    showPhoto(await createImageBitmap(file));
  } catch {
    throw new InputError(
      `${file.name} cannot be read as an image; choose a JPEG, PNG or WebP file.`,
    );
  }
}

function showPhoto(photo: ImageBitmap): void {
  clearResult();
  inputCanvas.width = photo.width;
  inputCanvas.height = photo.height;
  inputCanvas.getContext("2d")!.drawImage(photo, 0, 0);
  photo.close();
  hasPhoto = true;
}

function clearResult(): void {
  resultCanvas.width = resultCanvas.width;
  save.hidden = true;
}

async function translatePhoto(translator: Translator): Promise<void> {
  say("Translating...");
  // The network keeps this thread busy: let the browser paint the line above first.
  await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
  // With its sides in proportion, or the generator would see another picture.
  const { width, height } = fittingSize(inputCanvas, translator);
  const photo = resized(inputCanvas, width, height).getImageData(0, 0, width, height);
  const { image, milliseconds } = await translator.translate(
    mirrored(photo, translator.width, translator.height),
  );
  const translated = new OffscreenCanvas(width, height);
  translated.getContext("2d")!.putImageData(image, 0, 0);
  resultCanvas.width = inputCanvas.width;
  resultCanvas.height = inputCanvas.height;
  resultCanvas
    .getContext("2d")!
    .drawImage(
      resized(translated, inputCanvas.width, inputCanvas.height).canvas,
      0,
      0,
    );
  await offerDownload();
  const time = milliseconds.toFixed(0);
  say(`Translated at ${width}x${height} pixels in ${time} ms by ${translator.name}.`);
}

async function offerDownload(): Promise<void> {
  const file = await new Promise<Blob | null>((resolve) =>
    resultCanvas.toBlob(resolve, "image/png"),
  );
  if (!file) return; // larger than the browser can encode; it is shown all the same
  URL.revokeObjectURL(save.href);
  save.href = URL.createObjectURL(file);
  save.hidden = false;
}

function resized(
  source: HTMLCanvasElement | OffscreenCanvas,
  width: number,
  height: number,
): OffscreenCanvasRenderingContext2D {
  const context = new OffscreenCanvas(width, height).getContext("2d", {
    willReadFrequently: true,
  })!;
  context.imageSmoothingQuality = "high";
  context.drawImage(source, 0, 0, width, height);
  return context;
}

/** Shows the photographs that come with the page, to click. */
function offerSamples(): void {
  const samples = element("samples", HTMLDivElement);
  for (const photo of samplePhotos) {
    const button = document.createElement("button");
    const picture = document.createElement("img");
    picture.src = photo.url;
    picture.alt = photo.name;
    button.type = "button";
    button.append(picture);
    button.addEventListener("click", () =>
      attempt(async () => loadPhoto(await fetchSample(photo))),
    );
    samples.append(button);
  }
  element("credits", HTMLParagraphElement).hidden = samplePhotos.length === 0;
}

/** Adds the choice where there is a graphics card that the browser lets pages use. */
async function offerWebGPU(): Promise<void> {
  if (await navigator.gpu?.requestAdapter()) {
    accelerator.add(new Option("the graphics card (WebGPU)", "webgpu"));
  }
}

function say(text: string, kind = ""): void {
  status.textContent = text;
  status.className = kind;
}

function element<T extends HTMLElement>(id: string, type: new () => T): T {
  const found = document.getElementById(id);
  if (!(found instanceof type)) throw new Error(`The page has no #${id}.`);
  return found;
}
