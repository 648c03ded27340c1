// The keys of the page, and the dialog that shows and changes them.

import { openDialog } from "/page/core/dialog.js";
import { fill, h } from "/page/core/dom.js";
import { icon } from "/page/core/icons.js";

const SINGLE = "avila-single-keys";
const CHANGED = "avila-keys";
const MODIFIERS = ["Control", "Meta", "Alt", "AltGraph", "Shift"];
const TYPING = "input:not([type=range],[type=radio],[type=checkbox],[type=button]), textarea, select, [contenteditable]";

/** @typedef {{keys: string, text: string, run: () => void}} Key such as "Ctrl + Enter"; without Ctrl and Alt a single key */

const ELSEWHERE = [
  { keys: "Ctrl + ↑ / ↓", text: "Weigh the words under the cursor of a prompt" },
  { keys: "← / →", text: "In the viewer: the picture before or after" },
  { keys: "Space, arrows", text: "On the canvas: brush down or up, move it (Shift: one pixel)" },
  { keys: "X, [ and ]", text: "On the canvas: eraser, size of the brush" },
  { keys: "+, −, 0", text: "On the canvas: zoom in and out, show all" },
  { keys: "Ctrl + Z / Y", text: "On the canvas: undo, redo" },
];

/** Keys that the user changed, by their texts. @returns {Record<string, string>} */
function changes() {
  try {
    return JSON.parse(localStorage.getItem(CHANGED) ?? "{}");
  } catch {
    return {};
  }
}

/** Listen for keys everywhere; return what shows them. @param {Key[]} keys */
export function listenForKeys(keys) {
  const all = [...keys, { keys: "?", text: "Show the keys", run: () => showKeys(all) }];
  document.addEventListener("keydown", (event) => {
    const pressed = nameOf(event);
    const changed = changes();
    const key = pressed && all.find((each) => (changed[each.text] ?? each.keys) === pressed);
    if (!key || (isSingle(pressed) && !takesSingle(event)) || document.querySelector("dialog[open]")) return;
    event.preventDefault();
    key.run();
  });
  return () => showKeys(all);
}

/** Return what is pressed, such as "Ctrl + Shift + Enter"; "" for modifiers alone. @param {KeyboardEvent} event */
function nameOf(event) {
  if (!event.key || MODIFIERS.includes(event.key)) return "";
  const command = event.ctrlKey || event.metaKey;
  const parts = [command && "Ctrl", event.altKey && "Alt", event.shiftKey && (command || event.altKey) && "Shift"];
  const name = event.key === " " ? "Space" : event.key;
  return [...parts.filter(Boolean), name.length === 1 ? name.toUpperCase() : name].join(" + ");
}

/** @param {string} keys */
function isSingle(keys) {
  return !/^(Ctrl|Alt) \+ /.test(keys);
}

/** @param {KeyboardEvent} event */
function takesSingle(event) {
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
  const problem = h("div", { class: "problem", role: "alert", hidden: true });
  const list = h("dl", { class: "keys-list" });
  const show = (text = "") => {
    problem.hidden = !text;
    problem.textContent = text;
    const changed = changes();
    const rows = keys.map((key) => ({ ...key, keys: changed[key.text] ?? key.keys }));
    fill(list, rows.map((key) => keyRow(key, changeButton(key, rows, show))), ELSEWHERE.map((key) => keyRow(key, null)));
  };
  const reset = () => {
    localStorage.removeItem(CHANGED);
    show();
  };
  show();
  openDialog("Keys", () => [list, problem,
    h("div", { class: "buttons" },
      h("label", { class: "switch-row grow", for: "single-keys" }, box, h("span", {}, "Keys without Ctrl")),
      h("button", { type: "button", onclick: reset }, "Set the keys back"))]);
}

/** @param {{keys: string, text: string}} key @param {Element | null} button */
function keyRow({ keys, text }, button) {
  return h("div", {}, h("dt", {}, keys.split(" + ").map((part, i) => [i > 0 && " + ", h("kbd", {}, part)])), h("dd", {}, text, button));
}

/** Return a button that waits for other keys. @param {Key} key @param {Key[]} all @param {(text?: string) => void} show */
function changeButton(key, all, show) {
  const label = `Change the keys of “${key.text}”`;
  const button = h("button", { class: "plain small", type: "button", title: "Change", "aria-label": label, "aria-pressed": "false" }, icon("edit"));
  const stop = () => button.setAttribute("aria-pressed", "false");
  button.addEventListener("click", () => {
    button.setAttribute("aria-pressed", "true");
    button.setAttribute("aria-label", "Press the new keys; Escape keeps the old ones");
  });
  button.addEventListener("blur", stop);
  button.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
    if (button.getAttribute("aria-pressed") !== "true") return;
    const pressed = nameOf(event);
    if (pressed === "Tab") return;
    event.preventDefault();
    event.stopPropagation();
    if (!pressed) return;
    stop();
    const other = all.find((each) => each.keys === pressed && each.text !== key.text);
    if (other) return show(`${pressed} is for “${other.text}”. Change that first.`);
    if (pressed !== "Escape") localStorage.setItem(CHANGED, JSON.stringify({ ...changes(), [key.text]: pressed }));
    show();
    focusRow(key.text);
  });
  return button;
}

/** @param {string} text */
function focusRow(text) {
  document.querySelector(/** @type {any} */ (`[aria-label="Change the keys of “${CSS.escape(text)}”"]`))?.focus();
}
