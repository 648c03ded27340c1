// Styles below the prompts: those that are on, and a dialog that picks, applies, saves and deletes.

import { confirmAction, openDialog } from "/page/core/dialog.js";
import { fill, h, newId } from "/page/core/dom.js";
import { icon } from "/page/core/icons.js";
import { announce, notifyError } from "/page/core/notices.js";
import { shorten } from "/page/core/words.js";
import { session } from "/page/session.js";
import { allStyles, deleteStyle, loadStyles, saveStyle, stylesChanged, withStyles } from "/page/settings/styles.js";
import { changed, get, set, update } from "/page/settings/values.js";

/** @param {string} name @param {boolean} on */
function choose(name, on) {
  const others = get("styles").filter((/** @type {string} */ each) => each !== name);
  set("styles", on ? [...others, name] : others);
}

/** Return the button that opens the dialog, and a chip for each style that is on. */
export function styleButton() {
  const chips = h("span", { class: "chips" });
  const show = () => fill(chips, get("styles").map((/** @type {string} */ name) =>
    h("button", { class: "chip on", type: "button", title: "Take this style off", "aria-label": `Take the style “${name}” off`,
      onclick: () => choose(name, false) }, shorten(name, 30), icon("close"))));
  changed.on((keys) => keys.has("styles") && show());
  show();
  return [h("button", { class: "small", type: "button", onclick: openStyles }, icon("palette"), "Styles"), chips];
}

function openStyles() {
  loadStyles().catch(notifyError);
  const list = h("ul", { class: "rows" });
  const search = h("input", { type: "search", placeholder: "Search", "aria-label": "Search styles", oninput: () => show() });
  const show = () => {
    const words = search.value.trim().toLowerCase();
    const found = allStyles().filter((each) => `${each.name}\n${each.prompt}`.toLowerCase().includes(words));
    fill(list, found.map(styleRow));
    if (!found.length) fill(list, h("li", { class: "empty-line" }, words ? "Nothing found." : "There are no styles yet."));
  };
  const end = stylesChanged.on(show);
  show();
  openDialog("Styles", () => [search, list, session().admin && saveForm()], { kind: "wide" }).then(end);
}

/** @param {import("/page/settings/styles.js").Style} style */
function styleRow(style) {
  const { name, prompt, negative } = style;
  const id = newId("style");
  const box = h("input", { type: "checkbox", id, checked: get("styles").includes(name), onchange: () => choose(name, box.checked) });
  const apply = () => {
    update({ ...withStyles([name], get("prompt"), get("negative")), styles: get("styles").filter((/** @type {string} */ each) => each !== name) });
    box.checked = false;
    announce(`${name} is in the prompt`);
  };
  const remove = async () => {
    if (!(await confirmAction(`Delete the style “${shorten(name, 40)}”?`, "All users of this server lose it.", "Delete"))) return;
    await deleteStyle(name);
    choose(name, false);
  };
  return h("li", { class: "row" }, box,
    h("label", { class: "row-words", for: id }, h("strong", {}, name), h("span", {}, shorten(prompt, 200)),
      negative && h("span", {}, `Negative: ${shorten(negative, 200)}`)),
    h("div", { class: "buttons" },
      h("button", { class: "small", type: "button", "aria-label": `Write “${name}” into the prompts`, title: "Write it into the prompts", onclick: apply }, "Write out"),
      session().admin && h("button", { class: "plain", type: "button", "aria-label": `Delete “${name}”`, title: "Delete", onclick: () => remove().catch(notifyError) }, icon("trash"))));
}

function saveForm() {
  const id = newId("style");
  const name = h("input", { type: "text", id, required: true, maxlength: 200, autocomplete: "off", oninput: () => show() });
  const button = h("button", { type: "submit" }, icon("check"), h("span"));
  const show = () => {
    const known = allStyles().some((each) => each.name === name.value.trim());
    button.lastChild.textContent = known ? "Replace" : "Save";
  };
  show();
  const save = async (/** @type {Event} */ event) => {
    event.preventDefault();
    await saveStyle({ name: name.value.trim(), prompt: get("prompt"), negative: get("negative") });
    announce(`Saved “${name.value.trim()}”`);
    name.value = "";
    show();
  };
  return h("form", { class: "save-form", onsubmit: (/** @type {Event} */ event) => save(event).catch(notifyError) },
    h("div", { class: "field" }, h("label", { for: id }, "Save both prompts as a style named"), name), button,
    h("p", { class: "hint" }, "Where it has {prompt}, the prompt is put in; else it comes after the prompt."));
}
