// What the server offers: names for lists, models, limits. Asked once, models again on demand.

import { call } from "/page/core/api.js";
import { Signal } from "/page/core/signal.js";

/** @typedef {{name: string, label: string}} Choice */

/** Tells that the lists are there or have changed. @type {Signal<void>} */
export const arrived = new Signal();

/** @type {any} */
let lists = {};

/** Ask for all lists. */
export async function loadChoices() {
  const [choices, models] = await Promise.all([
    call("GET", "/api/v1/choices"),
    call("GET", "/api/v1/models"),
  ]);
  lists = { ...choices, models: models.models.map(modelChoice), defaultModel: models.default };
  arrived.send();
}

/** @param {any} model @returns {Choice} */
function modelChoice(model) {
  return { name: model.name, label: model.loaded ? `${model.name} (in memory)` : model.name };
}

/** Return a list by its name; empty before it is there. @param {string} name @returns {Choice[]} */
export function choicesOf(name) {
  return lists[name] ?? [];
}

/** The server's limits, and its version. @returns {any} */
export function facts() {
  return lists;
}
