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
  const found = pattern(name).exec(get("prompt"));
  if (!found) insert("prompt", `<lora:${name}:${weight}>`, " ");
  else replace(found, `${found[0].startsWith("<") ? "" : " "}<lora:${name}:${weight}${found[2]}>`);
}

/** Take a LoRA out of the prompt. @param {string} name */
export function dropLora(name) {
  const found = pattern(name).exec(get("prompt"));
  if (found) replace(found, "");
}

/** Put a text in the place of another, and leave the cursor between the same words. @param {RegExpExecArray} found @param {string} text */
function replace(found, text) {
  const end = found.index + found[0].length;
  const moved = text.length - found[0].length;
  if (cursors.prompt > found.index) cursors.prompt = Math.max(found.index + text.length, cursors.prompt + moved);
  set("prompt", found.input.slice(0, found.index) + text + found.input.slice(end));
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
  const after = value.slice(at).trim();
  const head = before ? before + gap + text : text;
  cursors[key] = head.length;
  set(key, head + (after && !after.startsWith(",") ? gap : "") + after);
}
