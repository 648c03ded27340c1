// The axes of an X/Y/Z table: which setting changes, and its values as people type them.

import { FIELDS, fullLabel, inMode, switchOf } from "/page/settings/fields.js";
import { choicesOf } from "/page/settings/choices.js";
import { get } from "/page/settings/values.js";

const MOST_VALUES = 100;
const RANGE = /^([+-]?\d+(?:\.\d+)?)\s*-\s*([+-]?\d+(?:\.\d+)?)(?:\s*\(\s*([+-]?\d+(?:\.\d+)?)\s*\)|\s*\[\s*(\d+)\s*\])?$/;

const REPLACE = "replace";

/** @typedef {{label: string, change: (values: Record<string, any>) => Record<string, any>}} AxisValue */

/** Return the settings that an axis may change in a mode. @param {string} mode */
export function axisChoices(mode) {
  const fields = FIELDS.filter((field) => inMode(field, mode) && isUsed(field.key) && !["count", "batch", "init_image.inpaint.invert"].includes(field.key) && field.kind !== "text");
  return [{ key: REPLACE, label: "Words of the prompt" }, ...fields.map(({ key }) => ({ key, label: fullLabel(key) }))];
}

/** Tell whether a field can matter: one of a control unit only while that is on. @param {string} key */
function isUsed(key) {
  return !key.startsWith("controls.") || get(String(switchOf(key)));
}

/**
 * Return the values of an axis. Raises an Error that says what is wrong.
 * @param {string} key @param {string} text values between commas; numbers also as 1-5, 1-9(+2), 0-1[5]
 * @returns {AxisValue[]}
 */
export function axisValues(key, text) {
  const texts = split(text);
  if (!texts.length) throw new Error(`${nameOf(key)}: give values, with commas between them.`);
  if (key === REPLACE) return replacements(texts);
  const field = /** @type {any} */ (FIELDS.find((each) => each.key === key));
  const values = field.kind === "choice" ? texts.map((each) => choiceValue(field, each)) : field.kind === "switch" ? texts.map(switchValue) : texts.flatMap((each) => numbers(field, each));
  if (values.length > MOST_VALUES) throw new Error(`${nameOf(key)}: at most ${MOST_VALUES} values.`);
  return values.map((value) => ({ label: `${fullLabel(key)}: ${value}`, change: (given) => ({ ...given, [key]: value, ...(switchOf(key) && { [String(switchOf(key))]: true }) }) }));
}

/** @param {string} key */
function nameOf(key) {
  return key === REPLACE ? "Words of the prompt" : fullLabel(key);
}

/** @param {string[]} texts @returns {AxisValue[]} */
function replacements(texts) {
  const [first] = texts;
  if (texts.length < 2) throw new Error("Words of the prompt: give two texts or more, the first one from the prompt.");
  return texts.map((each) => ({
    label: each,
    change: (given) => {
      if (!`${given.prompt}\n${given.negative}`.includes(first)) throw new Error(`The prompt does not have “${first}”.`);
      return { ...given, prompt: given.prompt.replaceAll(first, each), negative: given.negative.replaceAll(first, each) };
    },
  }));
}

/** Return the texts between commas; one in quotes may hold commas. @param {string} text */
function split(text) {
  const found = text.match(/"(?:[^"]|"")*"|[^,]+/g) ?? [];
  return found.map((each) => each.trim().replace(/^"(.*)"$/s, "$1").replaceAll('""', '"').trim()).filter(Boolean);
}

/** @param {any} field @param {string} text */
function choiceValue(field, text) {
  const list = field.values ?? choicesOf(field.choices);
  const plain = (/** @type {string} */ each) => each.toLowerCase().replace(/[\s_-]+/g, "").replaceAll("++", "pp");
  const found = list.find((/** @type {any} */ each) => plain(each.name) === plain(text) || plain(each.label) === plain(text));
  if (!found) throw new Error(`${fullLabel(field.key)}: there is no ${text}.`);
  return found.name;
}

/** @param {string} text */
function switchValue(text) {
  if (!["on", "off"].includes(text)) throw new Error("Give on, off, or both.");
  return text === "on";
}

/** @param {any} field @param {string} text @returns {number[]} */
function numbers(field, text) {
  const range = RANGE.exec(text);
  const found = range ? expand(range) : [Number(text)];
  const round = field.kind === "integer" || field.kind === "seed" ? Math.round : (/** @type {number} */ each) => Math.round(each * 1e6) / 1e6;
  for (const each of found) {
    if (Number.isNaN(each)) throw new Error(`${fullLabel(field.key)}: ${text} is no number.`);
    if (each < (field.min ?? -Infinity) || each > (field.max ?? Infinity)) throw new Error(`${fullLabel(field.key)}: ${each} is out of range.`);
  }
  return found.map(round);
}

/** @param {RegExpExecArray} range */
function expand([, from, to, step, count]) {
  const [first, last] = [Number(from), Number(to)];
  if (count) return Array.from({ length: Math.min(Number(count), MOST_VALUES + 1) }, (_, i) => first + ((last - first) * i) / Math.max(1, Number(count) - 1));
  const by = step ? Number(step) : Math.sign(last - first) || 1;
  if (by * (last - first) < 0 || by === 0) throw new Error(`${from}-${to}: its step leads away from its end.`);
  const length = Math.min(Math.floor((last - first) / by + 1e-9) + 1, MOST_VALUES + 1);
  return Array.from({ length }, (_, i) => first + by * i);
}
