// The picture that a job starts from, with its mask. It stays in this tab's memory.

import { fetchFile } from "/page/core/api.js";
import { Signal } from "/page/core/signal.js";
import { toBase64 } from "/page/core/words.js";
import { context, newCanvas } from "/page/picture/canvas.js";
import { extendPicture } from "/page/picture/extend.js";
import { Mask } from "/page/picture/mask.js";

const MOST_PIXELS = 64 * 1024 * 1024;
const OPAQUE = 128;

/** Tells that there is another picture, or none. @type {Signal<void>} */
export const sourceChanged = new Signal();

/** @type {{image: HTMLCanvasElement | null, mask: Mask | null}} */
export const source = { image: null, mask: null };

/** Return the picture in a file. @param {Blob} file */
export async function readPicture(file) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(file);
  } catch {
    throw new Error("This file is no picture that the browser can read; give a PNG, JPEG or WebP.");
  }
  if (bitmap.width * bitmap.height > MOST_PIXELS) {
    throw new Error(`A picture of ${bitmap.width}x${bitmap.height} is too large.`);
  }
  const image = newCanvas(bitmap.width, bitmap.height);
  context(image).drawImage(bitmap, 0, 0);
  bitmap.close();
  return image;
}

/** Start from the picture in a file. @param {Blob} file */
export async function takeFile(file) {
  const image = await readPicture(file);
  setImage(image, clearParts(image));
}

/** Take a picture of the server. @param {string} url */
export async function takeUrl(url) {
  await takeFile(await fetchFile("GET", url));
}

/** Have no picture. */
export function dropSource() {
  Object.assign(source, { image: null, mask: null });
  sourceChanged.send();
}

/**
 * Add pixels at the sides, which continue the edges and are masked.
 * @param {{left: number, top: number, right: number, bottom: number}} sides
 * @param {number} overlap pixels of the picture that are drawn anew, too
 */
export function extendSource(sides, overlap) {
  if (!source.image) return;
  const { image, mask } = extendPicture(source.image, sides, overlap);
  setImage(image, mask);
}

/** @param {HTMLCanvasElement} image @param {HTMLCanvasElement | null} painted */
function setImage(image, painted) {
  Object.assign(source, { image, mask: new Mask(image.width, image.height, painted) });
  sourceChanged.send();
}

/** Return what is transparent in a picture as a mask; null where nothing is.
 * @param {HTMLCanvasElement} image */
function clearParts(image) {
  const pixels = context(image).getImageData(0, 0, image.width, image.height);
  let found = false;
  const { data } = pixels;
  for (let i = 0; i < data.length; i += 4) {
    const clear = data[i + 3] < OPAQUE;
    found ||= clear;
    data[i] = data[i + 1] = data[i + 2] = 255;
    data[i + 3] = clear ? 255 : 0;
  }
  if (!found) return null;
  const mask = newCanvas(image.width, image.height);
  context(mask).putImageData(pixels, 0, 0);
  return mask;
}

/**
 * Return the picture as a job takes it. Raises an Error where something is missing.
 * @param {string} mode
 * @returns {Promise<import("/page/settings/request.js").Source | null>}
 */
export async function readSource(mode) {
  if (mode === "text") return null;
  const { image, mask } = source;
  if (!image || !mask) throw new Error("Choose a picture to start from.");
  if (mode === "inpaint" && mask.isEmpty()) throw new Error("Paint over what is to be drawn anew.");
  const found = { image: await encode(image), width: image.width, height: image.height };
  return mode === "inpaint" ? { ...found, mask: await encode(mask.picture()) } : found;
}

/** Return a picture as base64 of a PNG. @param {HTMLCanvasElement} canvas @returns {Promise<string>} */
export async function encode(canvas) {
  const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
  return toBase64(/** @type {Blob} */ (blob));
}
