// The values of all settings in this tab. They outlive a reload; a new tab begins with the newest.

import { Signal } from "/page/core/signal.js";
import { BY_KEY, standardValue } from "/page/settings/fields.js";

const STORE = "avila-settings";

/** Sends the keys that changed. @type {Signal<Set<string>>} */
export const changed = new Signal();

/** @type {Record<string, any>} */
const values = load();

/** @returns {Record<string, any>} */
function load() {
  try {
    const text = sessionStorage.getItem(STORE) ?? localStorage.getItem(STORE) ?? "{}";
    const found = JSON.parse(text);
    return Object.fromEntries(Object.entries(found).filter(([key]) => BY_KEY.has(key)));
  } catch {
    return {};
  }
}

function save() {
  const text = JSON.stringify(values);
  try {
    sessionStorage.setItem(STORE, text);
    localStorage.setItem(STORE, text);
  } catch {
    // A full or forbidden store: the page works without.
  }
}

/** @param {string} key */
export function get(key) {
  return key in values ? values[key] : standardValue(key);
}

/** Return a copy of all values. @returns {Record<string, any>} */
export function all() {
  return Object.fromEntries([...BY_KEY.keys()].map((key) => [key, get(key)]));
}

/** @param {string} key @param {any} value */
export function set(key, value) {
  update({ [key]: value });
}

/** Change several values at once. @param {Record<string, any>} given */
export function update(given) {
  const keys = Object.keys(given).filter((key) => BY_KEY.has(key) && get(key) !== given[key]);
  for (const key of keys) values[key] = given[key];
  if (!keys.length) return;
  save();
  changed.send(new Set(keys));
}

/** Set all but the prompts and the mode back. */
export function reset() {
  const kept = new Set(["prompt", "negative", "mode"]);
  const keys = [...BY_KEY.keys()].filter((key) => !kept.has(key));
  update(Object.fromEntries(keys.map((key) => [key, standardValue(key)])));
}
