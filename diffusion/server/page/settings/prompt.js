// A box for a prompt: it grows with its text, counts its tokens, and weighs words by keys.

import { call } from "/page/core/api.js";
import { h, newId } from "/page/core/dom.js";
import { changed, get, set } from "/page/settings/values.js";
import { noteCursor } from "/page/settings/tags.js";
import { weigh } from "/page/settings/weights.js";

const PAUSE_MS = 350;

/** @param {string} key @param {string} label @param {string} placeholder @param {number} rows */
export function promptBox(key, label, placeholder, rows) {
  const id = newId("prompt");
  const count = h("span", { class: "tokens", id: `${id}-count` });
  const input = h("textarea", {
    id, rows, placeholder, spellcheck: "false", autocomplete: "off", class: "prompt",
    "aria-describedby": count.id, data: { key },
    oninput: () => set(key, input.value),
    onselect: () => noteCursor(key, input), onblur: () => noteCursor(key, input),
    onkeydown: (/** @type {KeyboardEvent} */ event) => weighByKey(event, input),
  });
  const show = () => {
    if (input.value !== get(key)) input.value = get(key);
  };
  const counting = new Counter(count);
  changed.on((keys) => {
    if (keys.has(key)) show();
    if (keys.has(key) || keys.has("model")) counting.ask(get(key), get("model"));
  });
  show();
  counting.ask(get(key), get("model"));
  return h("div", { class: "field prompt-field" },
    h("div", { class: "label-row" }, h("label", { for: id }, label), count), input);
}

/** @param {KeyboardEvent} event @param {HTMLTextAreaElement} input */
function weighByKey(event, input) {
  const direction = event.key === "ArrowUp" ? 1 : event.key === "ArrowDown" ? -1 : null;
  if (!direction || !(event.ctrlKey || event.metaKey) || event.altKey) return;
  event.preventDefault();
  const found = weigh(input.value, input.selectionStart, input.selectionEnd, direction);
  if (!found) return;
  // Through the editor, so that Ctrl+Z takes it back.
  input.setSelectionRange(0, input.value.length);
  if (!document.execCommand("insertText", false, found.text)) input.value = found.text;
  input.setSelectionRange(found.start, found.end);
  input.dispatchEvent(new Event("input"));
}

/** Asks for the tokens of a text once nobody types. */
class Counter {
  /** @param {HTMLElement} element */
  constructor(element) {
    this.element = element;
    this.timer = 0;
    this.asked = 0;
  }

  /** @param {string} text @param {string | null} model */
  ask(text, model) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.count(text, model), PAUSE_MS);
  }

  /** @param {string} text @param {string | null} model */
  async count(text, model) {
    const number = (this.asked += 1);
    try {
      const { prompts } = await call("POST", "/api/v1/tokens", { model, prompts: [text] });
      if (number === this.asked) this.show(prompts[0]);
    } catch {
      this.element.textContent = "";
    }
  }

  /** @param {{tokens: number, chunks: number, capacity: number}} found */
  show({ tokens, chunks, capacity }) {
    this.element.textContent = `${tokens}/${chunks * capacity}`;
    this.element.title = `${tokens} tokens, read in ${chunks} part${chunks > 1 ? "s" : ""} of ${capacity}`;
    this.element.classList.toggle("long", chunks > 1);
  }
}
