// The models of the server: which are in memory, and more of them from the Hugging Face Hub.

import { call } from "/page/core/api.js";
import { openDialog } from "/page/core/dialog.js";
import { fill, h, newId } from "/page/core/dom.js";
import { icon } from "/page/core/icons.js";
import { announce, notifyError } from "/page/core/notices.js";
import { fileSize, shorten } from "/page/core/words.js";
import { session } from "/page/session.js";
import { arrived, facts, loadChoices } from "/page/settings/choices.js";
import { get, set } from "/page/settings/values.js";

const ROUTE = "/api/v1/models";
const LOOK_MS = 1000;

/** Return the button that opens the dialog. */
export function modelButton() {
  return h("button", { class: "small", type: "button", onclick: openModels }, icon("model"), "Models");
}

function openModels() {
  const list = h("ul", { class: "rows" });
  const fetched = h("ul", { class: "rows", "aria-label": "Downloads" });
  let timer = 0;
  let open = true;

  const act = async (/** @type {string} */ method, /** @type {string} */ path, /** @type {any} */ body) => {
    await call(method, `${ROUTE}/${path}`, body);
    await look();
  };
  /** Show how far downloads are, and look again while some go on. */
  async function look() {
    clearTimeout(timer);
    const before = fetched.querySelectorAll(".open").length;
    const { downloads } = await call("GET", `${ROUTE}/downloads`);
    fill(fetched, downloads.map((/** @type {any} */ each) => downloadRow(each, act)));
    const now = fetched.querySelectorAll(".open").length;
    if (now < before) announce("A download has ended");
    await loadChoices();
    if (open) timer = setTimeout(() => look().catch(notifyError), now ? LOOK_MS : 5 * LOOK_MS);
  }
  const show = () => fill(list, (facts().rows ?? []).map((/** @type {any} */ each) => modelRow(each, act)));
  const end = arrived.on(show);
  show();
  (session().admin ? look() : loadChoices()).catch(notifyError);
  openDialog("Models", () => [list, session().admin && [downloadForm(act), fetched]], { kind: "wide" }).then(() => {
    open = false;
    clearTimeout(timer);
    end();
  });
}

/** @typedef {(method: string, path: string, body?: any) => Promise<void>} Act */

/** @param {any} model @param {Act} act */
function modelRow({ name, sha256, loaded, bytes }, act) {
  const chosen = (get("model") ?? facts().defaultModel) === name;
  const turn = () => act("POST", loaded ? "unload" : "load", { model: name }).then(() => announce(loaded ? "Unloading" : "Loading")).catch(notifyError);
  const use = (/** @type {Event} */ event) => {
    set("model", name);
    /** @type {HTMLElement} */ (event.target).closest("dialog")?.close();
  };
  const about = [name === facts().defaultModel && "the default", loaded && `${fileSize(bytes)} in memory`, sha256?.slice(0, 10)].filter(Boolean);
  return h("li", { class: `row ${chosen ? "on" : ""}` },
    h("div", { class: "row-words" }, h("strong", {}, name), h("span", {}, about.join(", "))),
    h("div", { class: "buttons" },
      session().admin && h("button", { class: "small", type: "button", "aria-label": `${loaded ? "Unload" : "Load"} ${name}`, onclick: turn }, loaded ? "Unload" : "Load"),
      h("button", { class: "small", type: "button", disabled: chosen, "aria-label": `Draw with ${name}`, onclick: use }, chosen ? "In use" : "Use")));
}

/** @param {Act} act */
function downloadForm(act) {
  const id = newId("hub");
  const name = h("input", { type: "text", id, required: true, minlength: 3, maxlength: 300, autocomplete: "off", spellcheck: "false", placeholder: "owner/name" });
  const begin = async (/** @type {Event} */ event) => {
    event.preventDefault();
    const given = name.value;
    await act("POST", "download", { model: given.trim() });
    if (name.value === given) name.value = ""; // else the next one has been typed meanwhile
  };
  return h("form", { class: "save-form", onsubmit: (/** @type {Event} */ event) => begin(event).catch(notifyError) },
    h("div", { class: "field" }, h("label", { for: id }, "Fetch a model from the Hugging Face Hub"), name),
    h("button", { type: "submit" }, icon("download"), "Fetch"),
    h("p", { class: "hint" }, "Such as stable-diffusion-v1-5/stable-diffusion-v1-5, or owner/name/FILE.safetensors."));
}

/** @param {any} download @param {Act} act */
function downloadRow({ id, model, state, message, licence, bytes, done }, act) {
  const ended = ["done", "failed", "cancelled"].includes(state);
  const words = ended ? shorten(message || state, 300) : bytes ? `${fileSize(done)} of ${fileSize(bytes)}` : "asks the Hub";
  return h("li", { class: `row ${ended ? "" : "open"}` },
    h("div", { class: "row-words" }, h("strong", {}, model), h("span", {}, [words, licence && `licence ${licence}`].filter(Boolean).join(", ")),
      !ended && h("progress", { max: bytes || 1, value: done, "aria-label": `Download of ${model}` })),
    !ended && h("button", { class: "small", type: "button", "aria-label": `Stop fetching ${model}`, onclick: () => act("DELETE", `downloads/${id}`).catch(notifyError) }, "Stop"));
}
