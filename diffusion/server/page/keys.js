// The keys of the page, and the dialog that shows them.

import { openDialog } from "/page/core/dialog.js";
import { h } from "/page/core/dom.js";

const SINGLE = "avila-single-keys";
const TYPING = "input:not([type=range],[type=radio],[type=checkbox],[type=button]), textarea, select, [contenteditable]";

/** @typedef {{keys: string, text: string, single?: boolean, run?: () => void}} Key */

const ELSEWHERE = [
  { keys: "Ctrl + ↑ / ↓", text: "Weigh the words under the cursor of a prompt" },
  { keys: "← / →", text: "In the viewer: the picture before or after" },
  { keys: "Space, arrows", text: "On the canvas: brush down or up, move it (Shift: one pixel)" },
  { keys: "X, [ and ]", text: "On the canvas: eraser, size of the brush" },
  { keys: "+, −, 0", text: "On the canvas: zoom in and out, show all" },
  { keys: "Ctrl + Z / Y", text: "On the canvas: undo, redo" },
];

/** Listen for keys everywhere. @param {Key[]} keys */
export function listenForKeys(keys) {
  const help = { keys: "?", text: "Show the keys", single: true, run: () => showKeys([...keys, help]) };
  const all = [...keys, help];
  document.addEventListener("keydown", (event) => {
    const key = all.find((each) => each.run && fits(each, event));
    if (!key) return;
    if (document.querySelector("dialog[open]")) return;
    event.preventDefault();
    key.run?.();
  });
  return () => showKeys(all);
}

/** @param {Key} key @param {KeyboardEvent} event */
function fits(key, event) {
  const parts = key.keys.split(" + ");
  const name = parts.at(-1)?.toLowerCase();
  const command = event.ctrlKey || event.metaKey;
  if (event.key.toLowerCase() !== name || command !== parts.includes("Ctrl") || event.altKey !== parts.includes("Alt")) return false;
  if (!key.single) return event.shiftKey === parts.includes("Shift");
  const target = /** @type {Element} */ (event.target);
  return usesSingleKeys() && !target.closest(TYPING) && !target.closest("[role=application]");
}

function usesSingleKeys() {
  return localStorage.getItem(SINGLE) !== "off";
}

/** @param {Key[]} keys */
function showKeys(keys) {
  if (document.querySelector("dialog[open]")) return;
  const box = h("input", { type: "checkbox", role: "switch", class: "switch", id: "single-keys", checked: usesSingleKeys(),
    onchange: () => localStorage.setItem(SINGLE, box.checked ? "on" : "off") });
  openDialog("Keys", () => [
    h("dl", { class: "keys-list" }, [...keys, ...ELSEWHERE].map((each) =>
      h("div", {}, h("dt", {}, each.keys.split(" + ").map((part, i) => [i > 0 && " + ", h("kbd", {}, part)])), h("dd", {}, each.text)))),
    h("label", { class: "switch-row", for: "single-keys" }, box, h("span", {}, "Keys without Ctrl")),
  ]);
}
