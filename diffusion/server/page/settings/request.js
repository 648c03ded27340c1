// From the values of the page to a job's request, and from a picture's settings to values.

import { FIELDS, GROUPS, inMode, standardValue, switchOf } from "/page/settings/fields.js";
import { withStyles } from "/page/settings/styles.js";

/**
 * @typedef {object} Source
 * @property {string} image base64
 * @property {number} width
 * @property {number} height
 * @property {string} [mask] base64
 */

/**
 * Return the body of POST /api/v1/jobs.
 * @param {Record<string, any>} values
 * @param {Source | null} source
 * @param {Record<string, Record<string, any>>} pictures those of `controls` and of `image_prompts`, by their places
 */
export function buildRequest(values, source, pictures) {
  const mode = values.mode;
  /** @type {any} */
  const body = { ...withStyles(values.styles, values.prompt, values.negative) };
  for (const field of FIELDS) {
    const value = values[field.key];
    const toggle = switchOf(field.key);
    if (value === null || !inMode(field, mode) || (toggle && !values[toggle])) continue;
    put(body, field.key, value);
  }
  if (body.variation) finishVariation(body);
  if (body.hires) finishHires(body);
  for (const [part, own] of Object.entries(pictures)) {
    if (body[part]) body[part] = Object.entries(body[part]).map(([place, each]) => ({ ...each, ...own[place] }));
  }
  if (mode === "upscale" && source) finishUpscale(body, values, source);
  delete body.upscale;
  if (mode === "text" || !source) delete body.init_image;
  else finishSource(body, mode, source);
  return body;
}

/** @param {any} body @param {string} key @param {any} value */
function put(body, key, value) {
  const names = key.split(".");
  const last = /** @type {string} */ (names.pop());
  let part = body;
  for (const name of names) part = part[name] ??= {};
  part[last] = value;
}

/** @param {any} body */
function finishVariation(body) {
  const { from_width, from_height, ...rest } = body.variation;
  body.variation = { seed: randomSeed(), ...rest };
  if (from_width && from_height) body.variation.resize_from = [from_width, from_height];
}

/** A side that is left out is 0: it follows from the other. @param {any} body */
function finishHires(body) {
  const { to_width, to_height, ...rest } = body.hires;
  body.hires = rest;
  if (to_width || to_height) body.hires.resize = [to_width ?? 0, to_height ?? 0];
}

/** @param {any} body @param {any} values @param {Source} source */
function finishUpscale(body, values, source) {
  for (const side of /** @type {const} */ (["width", "height"])) {
    body[side] = Math.max(8, Math.round((source[side] * values["upscale.scale"]) / 8) * 8);
  }
  body.init_image = { strength: values["upscale.strength"], resize: "stretch" };
  if (values["upscale.upscaler"]) body.init_image.upscaler = values["upscale.upscaler"];
}

/** @param {any} body @param {string} mode @param {Source} source */
function finishSource(body, mode, source) {
  body.init_image.image = source.image;
  if (mode !== "inpaint" || !source.mask) {
    delete body.init_image.inpaint;
    return;
  }
  body.init_image.inpaint.mask = source.mask;
  // As the command line does: without a size, the picture's own pixels stay as they are.
  if (!body.width && !body.height && body.init_image.resize === "stretch") body.init_image.resize = "pad";
}

/** Return a seed of up to ten digits. */
export function randomSeed() {
  return crypto.getRandomValues(new Uint32Array(1))[0];
}

/**
 * Return the values that a picture's settings stand for; fields that it lacks are set back.
 * @param {any} settings fields of a job
 * @returns {Record<string, any>}
 */
export function valuesOf(settings) {
  /** @type {Record<string, any>} */
  const values = { mode: "text", prompt: settings.prompt ?? "", negative: settings.negative ?? "", styles: [] };
  for (const { key } of FIELDS) {
    const [group] = key.split(".");
    if (group === "init_image" || group === "upscale" || key === "count") continue;
    values[key] = find(settings, key) ?? standardValue(key);
  }
  for (const { name, part } of GROUPS) if (part) values[`${name}.on`] = Boolean(find(settings, part));
  const from = settings.variation?.resize_from;
  values["variation.from_width"] = from?.[0] ?? null;
  values["variation.from_height"] = from?.[1] ?? null;
  const to = settings.hires?.resize;
  values["hires.to_width"] = to?.[0] || null;
  values["hires.to_height"] = to?.[1] || null;
  if (settings.model === undefined) delete values.model;
  if (!isExact(settings.seed)) delete values.seed;
  delete values.batch;
  return values;
}

/** Tell whether a browser can hold a seed; those above 2^53 lose their last digits. @param {any} seed */
export function isExact(seed) {
  return seed === undefined || Number.isSafeInteger(seed);
}

/** @param {any} part @param {string} key */
function find(part, key) {
  for (const name of key.split(".")) part = part?.[name];
  return part;
}
