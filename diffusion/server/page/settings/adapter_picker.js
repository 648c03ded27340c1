// LoRAs and learned words: a dialog that searches them and writes them into the prompts.

import { call } from "/page/core/api.js";
import { openDialog } from "/page/core/dialog.js";
import { fill, h, newId } from "/page/core/dom.js";
import { icon } from "/page/core/icons.js";
import { announce, notifyError } from "/page/core/notices.js";
import { counted } from "/page/core/words.js";
import { radioTabs } from "/page/core/tabs.js";
import { session } from "/page/session.js";
import { dropLora, insert, lastPrompt, weighLora, weightOf } from "/page/settings/tags.js";
import { get } from "/page/settings/values.js";

const KINDS = [{ value: "loras", label: "LoRAs" }, { value: "embeddings", label: "Learned words" }];
const MOST_SHOWN = 200;

/** Return the button that opens the dialog. */
export function adapterButton() {
  return h("button", { class: "small", type: "button", title: "LoRAs and learned words", onclick: openPicker }, icon("blocks"), "LoRA");
}

function openPicker() {
  /** @type {Record<string, any[]>} */
  const found = { loras: [], embeddings: [] };
  const list = h("ul", { class: "rows" });
  const total = h("p", { class: "total", role: "status" });
  const tabs = radioTabs("Kind", KINDS, () => show());
  const search = h("input", { type: "search", placeholder: "Search", "aria-label": "Search names and words", autofocus: true, oninput: () => show() });
  const load = async () => {
    const query = get("model") ? `?model=${encodeURIComponent(get("model"))}` : "";
    const [loras, embeddings] = await Promise.all([call("GET", `/api/v1/loras${query}`), call("GET", `/api/v1/embeddings${query}`)]);
    Object.assign(found, loras, embeddings);
    show();
  };
  const renew = async () => {
    await call("POST", "/api/v1/adapters/refresh");
    await load();
  };
  const show = () => {
    const kind = tabs.value();
    const words = search.value.trim().toLowerCase();
    const fit = (/** @type {any} */ each) => `${each.name}\n${each.alias ?? ""}\n${(each.words ?? []).join("\n")}`.toLowerCase().includes(words);
    const shown = found[kind].filter(fit).sort((a, b) => Number(Boolean(a.problem)) - Number(Boolean(b.problem)));
    fill(list, shown.slice(0, MOST_SHOWN).map(kind === "loras" ? loraRow : embeddingRow));
    total.textContent = counted(shown.length, "file");
    if (!shown.length) fill(list, h("li", { class: "empty-line" }, words ? "Nothing found." : `None. Start the server with --${kind} FOLDER.`));
  };
  load().catch(notifyError);
  openDialog("LoRAs and learned words", () => [
    h("div", { class: "picker-head" }, tabs.element, search,
      session().admin && h("button", { type: "button", onclick: () => renew().catch(notifyError) }, "Look again")),
    list, total], { kind: "wide" });
}

/** @param {any} lora */
function loraRow(lora) {
  const { name, alias, words = [], problem } = lora;
  const id = newId("weight");
  const input = h("input", { type: "number", id, step: "any", min: -10, max: 10, value: String(weightOf(name) ?? 1), disabled: Boolean(problem),
    oninput: () => input.validity.valid && input.value !== "" && weightOf(name) !== null && weighLora(name, Number(input.value)) });
  const button = h("button", { type: "button", class: "small", disabled: Boolean(problem) });
  const show = () => {
    const on = weightOf(name) !== null;
    fill(button, on ? "Take out" : "Put in");
    button.setAttribute("aria-label", on ? `Take ${name} out of the prompt` : `Put ${name} into the prompt`);
    row.classList.toggle("on", on);
  };
  button.addEventListener("click", () => {
    if (weightOf(name) !== null) dropLora(name);
    else weighLora(name, input.validity.valid ? Number(input.value) : 1);
    show();
    announce(weightOf(name) === null ? `${name} is out` : `${name} is in the prompt`);
  });
  const row = h("li", { class: `row ${problem ? "unfit" : ""}` },
    h("div", { class: "row-words" }, h("strong", {}, name), alias && alias !== name && h("span", {}, alias),
      problem && h("span", { class: "reason" }, problem),
      words.length > 0 && h("div", { class: "words" }, words.map((/** @type {string} */ each) => wordButton(each, each, Boolean(problem))))),
    h("div", { class: "buttons" }, h("label", { class: "unseen", for: id }, `Weight of ${name}`), input, button));
  show();
  return row;
}

/** @param {any} embedding */
function embeddingRow({ name, vectors, problem }) {
  return h("li", { class: `row ${problem ? "unfit" : ""}` },
    h("div", { class: "row-words" }, h("strong", {}, name), h("span", {}, problem ? null : counted(vectors, "vector")), problem && h("span", { class: "reason" }, problem)),
    h("div", { class: "buttons" }, wordButton(name, "Put in", Boolean(problem))));
}

/** @param {string} word @param {string} label @param {boolean} disabled */
function wordButton(word, label, disabled) {
  const where = lastPrompt() === "negative" ? "negative prompt" : "prompt";
  return h("button", { type: "button", class: label === word ? "chip small" : "small", disabled, "aria-label": `Put “${word}” into the ${where}`, title: `Into the ${where}`,
    onclick: () => {
      insert(lastPrompt(), word);
      announce(`${word} is in the ${where}`);
    } }, label);
}
