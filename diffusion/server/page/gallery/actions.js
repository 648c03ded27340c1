// What can be done with a picture: go on from it, vary it, save it.

import { promptBy } from "/page/control/prompt_pictures.js";
import { controlBy } from "/page/control/unit_pictures.js";
import { fetchFile } from "/page/core/api.js";
import { h } from "/page/core/dom.js";
import { icon } from "/page/core/icons.js";
import { notify, notifyError } from "/page/core/notices.js";
import { Signal } from "/page/core/signal.js";
import { offerSettings } from "/page/gallery/restore.js";
import { pictureDetails } from "/page/gallery/pictures.js";
import { takeUrl } from "/page/picture/source.js";
import { valuesOf } from "/page/settings/request.js";
import { get, update } from "/page/settings/values.js";

const VARIATIONS = 4;
const VARIATION_STRENGTH = 0.15;

/** Asks the page to draw with the values as they are. @type {Signal<void>} */
export const drawAsked = new Signal();

/** Return a picture as the gallery lists it, from a job's report. @param {any} job @param {any} picture */
export function pictureOf(job, picture) {
  const id = `${job.id}-${picture.number}`;
  return { ...picture, id, job: job.id, prompt: job.prompt, model: job.model, created: job.created,
    thumbnail: `/api/v1/gallery/${id}/thumbnail` };
}

/** @param {any} picture @param {string} mode */
async function goOn(picture, mode) {
  await takeUrl(picture.url);
  /** @type {Record<string, any>} */
  const values = { mode, width: null, height: null };
  if (!get("prompt") || mode === "upscale") values.prompt = picture.prompt ?? "";
  update(values);
  location.hash = "#create";
}

/** @param {any} picture @param {(file: Blob) => Promise<void>} by @param {string} text */
async function lead(picture, by, text) {
  await by(await fetchFile("GET", picture.url));
  location.hash = "#create";
  notify(text);
}

/** @param {any} picture */
async function vary(picture) {
  const { settings } = await pictureDetails(picture.id);
  if (!settings) throw new Error("This picture was drawn from another one; use image to image.");
  update({ ...valuesOf(settings), count: VARIATIONS, "variation.on": true, "variation.strength": VARIATION_STRENGTH, "variation.seed": null });
  location.hash = "#create";
  drawAsked.send();
}

/** @param {any} picture */
async function restore(picture) {
  const found = await pictureDetails(picture.id);
  if (await offerSettings(found)) location.hash = "#create";
}

/**
 * Return a button for each action.
 * @param {any} picture @param {() => void} [before] is called first, such as to close a dialog
 */
export function pictureActions(picture, before = () => {}) {
  const act = (/** @type {string} */ name, /** @type {string} */ label, /** @type {string} */ title, /** @type {() => Promise<void>} */ run) =>
    h("button", { class: "small", title, onclick: () => (before(), run().catch(notifyError)) }, icon(name), label);
  return [
    act("restore", "Settings", "Take the settings of this picture", () => restore(picture)),
    act("image", "Image", "Image to image", () => goOn(picture, "image")),
    act("brush", "Inpaint", "Draw parts anew", () => goOn(picture, "inpaint")),
    act("control", "Control", "Lead drawings by this picture", () => lead(picture, controlBy, "This picture leads now: choose a model for it.")),
    act("blocks", "As prompt", "Read this picture as a prompt", () => lead(picture, promptBy, "This picture is read as a prompt: choose an adapter for it.")),
    act("upscale", "Upscale", "Enlarge, and draw detail", () => goOn(picture, "upscale")),
    act("variation", "Vary", "Draw four variations", () => vary(picture)),
    h("a", { class: "button small", href: picture.url, download: `${picture.id}.png`, title: "Save the PNG" }, icon("download"), "Save"),
  ];
}
