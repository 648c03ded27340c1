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
  const [choices, models, networks, makers, { vaes }] = await Promise.all(
    ["choices", "models", "control-models", "preprocessors", "vaes"].map((each) => call("GET", `/api/v1/${each}`)));
  const ofKind = (/** @type {string} */ kind) => networks.control_models.filter((/** @type {any} */ each) => [kind, null].includes(each.kind))
    .map((/** @type {any} */ each) => ({ name: each.name, label: each.title }));
  const networkLists = { control_models: ofKind("control"), ip_adapters: ofKind("ip-adapter"), image_encoders: ofKind("image-encoder") };
  lists = { ...choices, ...makers, ...networkLists, vaes: vaes.map(named), rows: models.models, models: models.models.map(modelChoice), defaultModel: models.default };
  arrived.send();
}

/** @param {{name: string}} each @returns {Choice} */
const named = ({ name }) => ({ name, label: name });

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
