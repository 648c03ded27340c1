// What differs between the values of the page and those of a picture.

import { choicesOf } from "/page/settings/choices.js";
import { BY_KEY, fullLabel, switchOf } from "/page/settings/fields.js";

/** @typedef {{key: string, label: string, now: any, then: any}} Difference */

/**
 * Return the settings that differ. Those of a group that is off on both sides do not count.
 * @param {Record<string, any>} now @param {Record<string, any>} then
 * @returns {Difference[]}
 */
export function findDifferences(now, then) {
  return Object.keys(then)
    .filter((key) => BY_KEY.has(key) && !isIdle(key, now, then) && !same(now[key], then[key]))
    .map((key) => ({ key, label: fullLabel(key), now: now[key], then: then[key] }));
}

/** @param {string} key @param {any} now @param {any} then */
function isIdle(key, now, then) {
  const toggle = switchOf(key);
  return toggle !== null && toggle in then && !then[toggle];
}

/** @param {any} a @param {any} b */
function same(a, b) {
  return String(a) === String(b) || (typeof a === "number" && typeof b === "number" && Math.abs(a - b) < 1e-9);
}

/** Return a value as text. @param {string} key @param {any} value */
export function valueText(key, value) {
  if (value === null || value === undefined || (value === "" && !BY_KEY.get(key)?.values)) {
    return BY_KEY.get(key)?.unset ?? "none";
  }
  if (Array.isArray(value)) return value.join(", ") || "none";
  if (typeof value === "boolean") return value ? "on" : "off";
  if (key === "model") return value;
  const { choices, values } = BY_KEY.get(key) ?? {};
  const list = values ?? (choices ? choicesOf(choices) : []);
  return list.find((each) => each.name === value)?.label ?? String(value);
}
