// <lora:name:weight> in a prompt: find, put in, weigh, take out.

import { get, set } from "/page/settings/values.js";

/** @param {string} name */
function pattern(name) {
  return new RegExp(`\\s*<lora:${name.replace(/[.*+?^$()|[\]{}\\]/g, "\\$&")}(?::([^:>]*))?([^>]*)>`, "i");
}

/** Return the weight of a LoRA in the prompt; null where it is not there. @param {string} name */
export function weightOf(name) {
  const found = pattern(name).exec(get("prompt"));
  return found ? Number(found[1] ?? 1) : null;
}

/** Put a LoRA into the prompt with a weight, or change the weight that it has. @param {string} name @param {number} weight */
export function weighLora(name, weight) {
  if (weightOf(name) === null) insert("prompt", `<lora:${name}:${weight}>`, " ");
  else set("prompt", get("prompt").replace(pattern(name), (/** @type {string} */ tag, /** @type {string} */ _old, /** @type {string} */ rest) => `${tag.startsWith(" ") ? " " : ""}<lora:${name}:${weight}${rest}>`));
}

/** @param {string} name */
export function dropLora(name) {
  set("prompt", get("prompt").replace(pattern(name), "").trimStart());
}

/** Where the cursor was last in each prompt. @type {Record<string, number>} */
const cursors = {};
let last = "prompt";

/** Remember where the cursor is. @param {string} key @param {HTMLTextAreaElement} input */
export function noteCursor(key, input) {
  cursors[key] = input.selectionEnd;
  last = key;
}

/** Return the prompt that had the cursor last: "prompt" or "negative". */
export function lastPrompt() {
  return last;
}

/** Put a text in at the cursor. @param {string} key @param {string} text @param {string} [gap] stands between it and other words */
export function insert(key, text, gap = ", ") {
  const value = get(key);
  const at = Math.min(cursors[key] ?? value.length, value.length);
  const before = value.slice(0, at).replace(/[\s,]+$/, "");
  const after = value.slice(at).replace(/^[\s,]+/, "");
  const head = before ? `${before}${gap}${text}` : text;
  cursors[key] = head.length;
  set(key, after ? `${head}${gap}${after}` : head);
}
