// The server's prompt styles: texts with names that are put around prompts, or after them.

import { call } from "/page/core/api.js";
import { Signal } from "/page/core/signal.js";

const ROUTE = "/api/v1/styles";
const PLACE = "{prompt}";

/** @typedef {{name: string, prompt: string, negative: string}} Style */

/** Tells that the list of styles is another one. @type {Signal<void>} */
export const stylesChanged = new Signal();

/** @type {Style[]} */
let styles = [];

/** @returns {Style[]} */
export function allStyles() {
  return styles;
}

/** @param {{styles: Style[]}} answer */
function take(answer) {
  styles = answer.styles;
  stylesChanged.send();
}

/** Ask for the styles. */
export async function loadStyles() {
  take(await call("GET", ROUTE));
}

/** Save a style, in the place of one of the same name. @param {Style} style */
export async function saveStyle(style) {
  take(await call("PUT", ROUTE, style));
}

/** @param {string} name */
export async function deleteStyle(name) {
  take(await call("DELETE", `${ROUTE}?name=${encodeURIComponent(name)}`));
}

/**
 * Return prompts with styles, in their order. Raises an Error for a style that is gone.
 * @param {string[]} names @param {string} prompt @param {string} negative
 */
export function withStyles(names, prompt, negative) {
  for (const name of names) {
    const style = styles.find((each) => each.name === name);
    if (!style) throw new Error(`The server has no style “${name}” any more. Take it off.`);
    prompt = join(prompt, style.prompt);
    negative = join(negative, style.negative);
  }
  return { prompt, negative };
}

/** @param {string} prompt @param {string} style */
function join(prompt, style) {
  if (style.includes(PLACE)) return style.replaceAll(PLACE, () => prompt);
  return [prompt.trim(), style.trim()].filter(Boolean).join(", ");
}
