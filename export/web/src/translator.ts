/** A generator in a LiteRT file, as a function from pixels to pixels. */

import {
  type Accelerator,
  type CompiledModel,
  Tensor,
  loadAndCompile,
  loadLiteRt,
} from "@litertjs/core";

import { type Channels, denormalize, normalize } from "./pixels";

/** What was wrong and what to do, in one sentence for the page. */
export class InputError extends Error {}

export interface Translation {
  image: ImageData;
  /** Of the network alone, without decoding and resizing. */
  milliseconds: number;
}

export class Translator {
  private constructor(
    /** Of the file. */
    readonly name: string,
    private readonly model: CompiledModel,
    private readonly inputShape: Shape,
    private readonly outputShape: Shape,
  ) {}

  /**
   * Loads a generator.
   *
   * @param file a .tflite file for float32 images of one size.
   * @param accelerator "wasm" is the processor, "webgpu" the graphics card.
   * @throws InputError if it is no such file.
   */
  static async load(file: File, accelerator: Accelerator): Promise<Translator> {
    await startLiteRT();
    const content = new Uint8Array(await file.arrayBuffer());
    if (new TextDecoder().decode(content.subarray(4, 8)) !== "TFL3") {
      throw new InputError(`${file.name} is not a LiteRT file; choose a .tflite file.`);
    }
    const model = await compile(file.name, content, accelerator);
    try {
      return new Translator(
        file.name,
        model,
        readShape(file.name, model.getInputDetails()),
        readShape(file.name, model.getOutputDetails()),
      );
    } catch (error) {
      model.delete();
      throw error;
    }
  }

  /** Pixels that the generator takes. */
  get width(): number {
    return this.inputShape.width;
  }

  get height(): number {
    return this.inputShape.height;
  }

  /** Translates pixels of that size. */
  async translate(image: ImageData): Promise<Translation> {
    const { height, width, channels } = this.inputShape;
    const values = normalize(image, channels);
    const start = performance.now();
    const input = new Tensor(values, [1, height, width, channels]);
    const outputs = await this.model.run([input]);
    // WebGPU has finished when its output is here.
    const translated = (await outputs[0]!.data()).slice() as Float32Array;
    const milliseconds = performance.now() - start;
    // LiteRT's memory is not garbage-collected.
    for (const tensor of [input, ...outputs]) tensor.delete();
    const out = this.outputShape;
    return {
      image: denormalize(translated, out.width, out.height, out.channels),
      milliseconds,
    };
  }

  /** Frees the memory of the generator. */
  delete(): void {
    this.model.delete();
  }
}

interface Shape {
  height: number;
  width: number;
  channels: Channels;
}

let started: Promise<unknown> | undefined;

/** Loads LiteRT from the page's own folder, once. */
function startLiteRT(): Promise<unknown> {
  started ??= loadLiteRt(new URL("wasm/", document.baseURI).href);
  return started;
}

async function compile(
  name: string,
  content: Uint8Array,
  accelerator: Accelerator,
): Promise<CompiledModel> {
  try {
    return await loadAndCompile(content, {
      accelerator,
      // Instance normalization adds up more pixels than half precision can.
      gpuOptions: { precision: "fp32" },
    });
  } catch (error) {
    console.error(error);
    throw new InputError(
      `LiteRT cannot load ${name}; choose a float32 or float16 file of cyclegan export.`,
    );
  }
}

function readShape(
  name: string,
  details: ReturnType<CompiledModel["getInputDetails"]>,
): Shape {
  const [batch, height = 0, width = 0, channels = 0] = details[0]?.shape ?? [];
  if (details.length !== 1 || details[0]!.shape.length !== 4 || batch !== 1) {
    throw new InputError(
      `${name} does not translate one image into one; choose a generator.`,
    );
  }
  if (details[0]!.dtype !== "float32") {
    throw new InputError(
      `${name} takes ${details[0]!.dtype} images; choose a float32 or float16 file.`,
    );
  }
  if (height < 1 || width < 1) {
    throw new InputError(
      `${name} is for images of any size, which LiteRT in the browser cannot run; ` +
        "choose a file for one size, such as NAME_float16_256x256.tflite.",
    );
  }
  if (channels !== 1 && channels !== 3) {
    throw new InputError(
      `${name} has images of ${channels} channels; choose a generator for 1 or 3.`,
    );
  }
  return { height, width, channels };
}
