// The pictures that are read as prompts. They stay in this tab's memory, as the one to start from.

import { Signal } from "/page/core/signal.js";
import { encode, readPicture } from "/page/picture/source.js";
import { PROMPTS } from "/page/settings/fields.js";
import { get, set } from "/page/settings/values.js";

/** Sends the place of an adapter whose pictures changed. @type {Signal<number>} */
export const promptPicturesChanged = new Signal();

/** @type {HTMLCanvasElement[][]} */
const pictures = Array.from({ length: PROMPTS }, () => []);

/** @param {number} place */
export function promptPictures(place) {
  return pictures[place];
}

/** @param {number} place @param {HTMLCanvasElement[]} given */
export function setPromptPictures(place, given) {
  pictures[place] = given;
  promptPicturesChanged.send(place);
}

/** Let the first adapter read a file, and turn it on. @param {Blob} file */
export async function promptBy(file) {
  const picture = await readPicture(file);
  if (!get("prompt1.on")) pictures[0] = [];
  set("prompt1.on", true);
  setPromptPictures(0, [...pictures[0], picture]);
}

/**
 * Return the pictures of the adapters that are on. Raises an Error where there is none.
 * @param {Record<string, any>} values
 * @returns {Promise<Record<string, {images: string[]}>>} base64 by the places of adapters
 */
export async function readImagePrompts(values) {
  /** @type {Record<string, {images: string[]}>} */
  const found = {};
  for (const [place, given] of pictures.entries()) {
    const name = `Picture prompt ${place + 1}`;
    if (!values[`prompt${place + 1}.on`]) continue;
    if (!values[`image_prompts.${place}.model`]) throw new Error(`${name}: choose its adapter.`);
    if (!given.length) throw new Error(`${name}: choose its picture.`);
    found[place] = { images: await Promise.all(given.map(encode)) };
  }
  return found;
}
