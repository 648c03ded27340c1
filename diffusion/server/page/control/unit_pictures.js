// The pictures of the control units. They stay in this tab's memory, as the one to start from.

import { Signal } from "/page/core/signal.js";
import { encode, readPicture, source } from "/page/picture/source.js";
import { UNITS } from "/page/settings/fields.js";
import { choicesOf } from "/page/settings/choices.js";
import { get, set } from "/page/settings/values.js";

/** Sends the place of a unit whose picture is another one. @type {Signal<number>} */
export const unitPictureChanged = new Signal();

/** @type {(HTMLCanvasElement | null)[]} */
const pictures = Array(UNITS).fill(null);

/** @param {number} place */
export function unitPicture(place) {
  return pictures[place];
}

/** @param {number} place @param {HTMLCanvasElement | null} picture */
export function setUnitPicture(place, picture) {
  pictures[place] = picture;
  unitPictureChanged.send(place);
}

/** Give a file to the first unit without a picture, and turn it on. @param {Blob} file */
export async function controlBy(file) {
  const picture = await readPicture(file);
  const free = pictures.findIndex((each, place) => !each || !get(`control${place + 1}.on`));
  const place = free < 0 ? UNITS - 1 : free;
  for (let each = 0; each <= place; each += 1) set(`control${each + 1}.on`, true);
  setUnitPicture(place, picture);
}

/** Return the preprocessor of a unit, as the server describes it. @param {number} place @returns {any} */
export function preprocessorOf(place) {
  return choicesOf("preprocessors").find((each) => each.name === get(`controls.${place}.preprocessor`));
}

/**
 * Return the pictures of the units that are on. Raises an Error where one is missing.
 * @param {Record<string, any>} values
 * @returns {Promise<Record<string, {image?: string, mask?: string}>>} base64 by the places of units
 */
export async function readControls(values) {
  /** @type {Record<string, {image?: string, mask?: string}>} */
  const found = {};
  for (const [place, picture] of pictures.entries()) {
    if (!values[`control${place + 1}.on`]) continue;
    if (!values[`controls.${place}.model`]) throw new Error(`Control ${place + 1}: choose its model.`);
    if (!picture && values.mode === "text") throw new Error(`Control ${place + 1}: choose its picture.`);
    found[place] = picture ? { image: await encode(picture) } : {};
    const mask = values.mode === "inpaint" && preprocessorOf(place)?.needs_mask ? source.mask : null;
    if (mask && !mask.isEmpty()) found[place].mask = await encode(mask.picture());
  }
  return found;
}
