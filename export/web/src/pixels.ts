/** Between pixels, 0 to 255 in RGBA, and what the networks see, -1 to 1. */

/** Colour, or gray weighted as in Pillow's mode L. */
export type Channels = 1 | 3;

export interface Size {
  width: number;
  height: number;
}

/** Scales a size down, with its sides in proportion, until it fits into another. */
export function fittingSize(size: Size, into: Size): Size {
  const scale = Math.min(1, into.width / size.width, into.height / size.height);
  return {
    width: Math.max(1, Math.round(size.width * scale)),
    height: Math.max(1, Math.round(size.height * scale)),
  };
}

/**
 * Fills up pixels with their mirror image, on the right and at the bottom.
 *
 * A generator in a file takes only one shape, and instance norms use means over all of it:
 * mirror images hardly change these, black bars would.
 */
export function mirrored(image: ImageData, width: number, height: number): ImageData {
  const result = new ImageData(width, height);
  // Red, green, blue and alpha at once.
  const from = new Uint32Array(image.data.buffer);
  const to = new Uint32Array(result.data.buffer);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const place = mirror(y, image.height) * image.width + mirror(x, image.width);
      to[y * width + x] = from[place]!;
    }
  }
  return result;
}

function mirror(place: number, length: number): number {
  const along = place % (2 * length);
  return along < length ? along : 2 * length - 1 - along;
}

/**
 * Turns pixels into the input of a network.
 *
 * @param image RGBA pixels; alpha is dropped.
 * @param channels of the network's input.
 * @returns (height, width, channels) in [-1, 1], in rows.
 */
export function normalize(image: ImageData, channels: Channels): Float32Array {
  const { data, width, height } = image;
  const values = new Float32Array(width * height * channels);
  for (let pixel = 0; pixel < width * height; pixel++) {
    const [red = 0, green = 0, blue = 0] = data.subarray(4 * pixel, 4 * pixel + 3);
    const levels =
      channels === 3
        ? [red, green, blue]
        : [Math.round(0.299 * red + 0.587 * green + 0.114 * blue)];
    values.set(
      levels.map((level) => level / 127.5 - 1),
      pixel * channels,
    );
  }
  return values;
}

/**
 * Turns the output of a network into pixels.
 *
 * @param values (height, width, channels), in rows; those beyond [-1, 1] are clipped.
 * @returns opaque RGBA pixels.
 */
export function denormalize(
  values: Float32Array,
  width: number,
  height: number,
  channels: Channels,
): ImageData {
  const image = new ImageData(width, height);
  for (let pixel = 0; pixel < width * height; pixel++) {
    for (let color = 0; color < 3; color++) {
      const value = values[pixel * channels + (channels === 3 ? color : 0)]!;
      // The array rounds and clips.
      image.data[4 * pixel + color] = (value + 1) * 127.5;
    }
    image.data[4 * pixel + 3] = 255;
  }
  return image;
}
