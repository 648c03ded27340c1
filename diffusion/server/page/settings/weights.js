// Weights of words in a prompt: (word:1.1), changed in steps by Ctrl+Up and Ctrl+Down.

const STEP = 0.1;
const BREAKS = new Set([..." ,.\n\t()[]{}<>:|"]);

/**
 * Change the weight of what is selected, or of the word under the cursor.
 * @param {string} text @param {number} start @param {number} end @param {1 | -1} direction
 * @returns {{text: string, start: number, end: number} | null} null where there is no word
 */
export function weigh(text, start, end, direction) {
  const around = findWeighted(text, start, end);
  if (around) return change(text, around, direction);
  if (start === end) [start, end] = wordAt(text, start);
  while (start < end && text[start] === " ") start += 1;
  while (end > start && text[end - 1] === " ") end -= 1;
  if (start === end) return null;
  const inner = text.slice(start, end);
  const weight = format(1 + direction * STEP);
  const changed = `${text.slice(0, start)}(${inner}:${weight})${text.slice(end)}`;
  return { text: changed, start: start + 1, end: start + 1 + inner.length };
}

/** @typedef {{open: number, close: number, colon: number, weight: number}} Weighted */

/** Return the nearest (…:number) around a place. @returns {Weighted | null}
 * @param {string} text @param {number} start @param {number} end */
function findWeighted(text, start, end) {
  let depth = 0;
  for (let open = start - 1; open >= 0; open -= 1) {
    if (isEscaped(text, open)) continue;
    if (text[open] === ")") depth += 1;
    if (text[open] !== "(") continue;
    if (depth > 0) {
      depth -= 1;
      continue;
    }
    const close = closing(text, open);
    const found = close < end ? null : /:\s*([+-]?\d*\.?\d+)\s*$/.exec(text.slice(open + 1, close));
    if (!found || start > open + 1 + found.index) return null;
    return { open, close, colon: open + 1 + found.index, weight: Number(found[1]) };
  }
  return null;
}

/** @param {string} text @param {number} open */
function closing(text, open) {
  let depth = 0;
  for (let place = open; place < text.length; place += 1) {
    if (isEscaped(text, place)) continue;
    if (text[place] === "(") depth += 1;
    if (text[place] === ")" && (depth -= 1) === 0) return place;
  }
  return -1;
}

/** @param {string} text @param {number} place */
function isEscaped(text, place) {
  return place > 0 && text[place - 1] === "\\";
}

/** @param {string} text @param {Weighted} found @param {number} direction */
function change(text, { open, close, colon, weight }, direction) {
  const inner = text.slice(open + 1, colon);
  const next = Math.round((weight + direction * STEP) * 100) / 100;
  const plain = next === 1;
  const middle = plain ? inner : `(${inner}:${format(next)})`;
  const start = plain ? open : open + 1;
  const changed = text.slice(0, open) + middle + text.slice(close + 1);
  return { text: changed, start, end: start + inner.length };
}

/** @param {string} text @param {number} place @returns {[number, number]} */
function wordAt(text, place) {
  let start = place;
  let end = place;
  while (start > 0 && !BREAKS.has(text[start - 1])) start -= 1;
  while (end < text.length && !BREAKS.has(text[end])) end += 1;
  return [start, end];
}

/** @param {number} weight */
function format(weight) {
  return String(Math.round(weight * 100) / 100);
}
