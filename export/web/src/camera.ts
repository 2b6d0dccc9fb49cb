/** A picture from the camera, taken in a dialog. */

import { InputError } from "./translator";

/**
 * Shows what the camera sees until a picture is taken.
 *
 * @returns the picture; nothing if the dialog was closed without.
 * @throws InputError if there is no camera, or the page may not use it.
 */
export async function takePicture(): Promise<ImageBitmap | undefined> {
  const stream = await openCamera();
  const dialog = document.querySelector<HTMLDialogElement>("#viewfinder")!;
  const video = dialog.querySelector("video")!;
  try {
    video.srcObject = stream;
    dialog.showModal();
    return (await shutterPressed(dialog)) ? await createImageBitmap(video) : undefined;
  } finally {
    dialog.close();
    video.srcObject = null;
    for (const track of stream.getTracks()) track.stop();
  }
}

async function openCamera(): Promise<MediaStream> {
  // Absent where the page did not come over HTTPS or from this computer.
  if (!navigator.mediaDevices) {
    throw new InputError(
      "Browsers give the camera to pages over HTTPS only; choose a photo instead.",
    );
  }
  try {
    // The camera on the back, where there are two.
    return await navigator.mediaDevices.getUserMedia({
      video: { facingMode: "environment" },
    });
  } catch {
    throw new InputError(
      "There is no camera that this page may use; allow it, or choose a photo.",
    );
  }
}

/** Waits for a button of the dialog, or for it to be closed. */
function shutterPressed(dialog: HTMLDialogElement): Promise<boolean> {
  return new Promise((resolve) => {
    const shutter = dialog.querySelector<HTMLButtonElement>("#shutter")!;
    const cancel = dialog.querySelector<HTMLButtonElement>("#cancel")!;
    shutter.onclick = () => resolve(true);
    cancel.onclick = () => resolve(false);
    dialog.onclose = () => resolve(false);
  });
}
