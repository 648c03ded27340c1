// The panel of settings: modes, prompts, groups that fold, and the button that draws.

import { completePrompt } from "/page/control/prompt_box.js";
import { completeUnit } from "/page/control/unit_box.js";
import { fill, h, newId } from "/page/core/dom.js";
import { icon } from "/page/core/icons.js";
import { adapterButton } from "/page/settings/adapter_picker.js";
import { fieldControl } from "/page/settings/controls.js";
import { FIELDS, GROUPS, PROMPTS, UNITS, inMode, standardValue } from "/page/settings/fields.js";
import { modelButton } from "/page/settings/model_dialog.js";
import { promptBox } from "/page/settings/prompt.js";
import { speedControl } from "/page/settings/speed.js";
import { styleButton } from "/page/settings/style_picker.js";
import { changed, get, reset, set } from "/page/settings/values.js";

export const MODES = [
  { name: "text", label: "Text", icon: "spark", title: "Text to image" },
  { name: "image", label: "Image", icon: "image", title: "Image to image" },
  { name: "inpaint", label: "Inpaint", icon: "brush", title: "Inpainting and outpainting" },
  { name: "upscale", label: "Upscale", icon: "upscale", title: "Enlarge, and draw detail" },
];

/**
 * Return the panel.
 * @param {{ondraw: () => void, source: Element, extension: Element}} options `source`: the picture
 *   to start from; `extension`: the controls of outpainting
 */
export function settingsPanel({ ondraw, source, extension }) {
  const problem = h("div", { class: "problem", role: "alert", hidden: true });
  const draw = h("button", { class: "primary draw", type: "submit" }, icon("spark"), "Generate");
  const folded = new Map(GROUPS.map((group) => [group.name, groupOf(group)]));
  /** @type {any} */ (folded.get("source")).content.prepend(source);
  /** @type {any} */ (folded.get("mask")).content.append(extension);
  /** @type {any} */ (folded.get("more")).content.append(speedControl());
  for (let place = 0; place < UNITS; place += 1) completeUnit(place, /** @type {any} */ (folded.get(`control${place + 1}`)).content);
  for (let place = 0; place < PROMPTS; place += 1) completePrompt(place, /** @type {any} */ (folded.get(`prompt${place + 1}`)).content);
  for (const { name, within } of GROUPS) if (within) /** @type {any} */ (folded.get(within)).content.append(/** @type {any} */ (folded.get(name)).element);
  const scroll = h("div", { class: "panel-scroll", tabindex: "-1" },
    promptBox("prompt", "Prompt", "What the picture shows", 4),
    promptBox("negative", "Negative prompt", "What it must not show", 2),
    h("div", { class: "prompt-tools" }, modelButton(), adapterButton(), styleButton()),
    GROUPS.filter((group) => !group.within).map((group) => folded.get(group.name)?.element),
    h("button", { class: "link reset", type: "button", onclick: reset }, "Set all settings back"),
  );
  const form = h(
    "form",
    {
      class: "panel", "aria-label": "Settings", novalidate: true,
      onsubmit: (/** @type {Event} */ event) => {
        event.preventDefault();
        ondraw();
      },
      oninput: (/** @type {Event} */ event) => {
        if (/** @type {Element} */ (event.target).hasAttribute("aria-invalid")) clearProblem(problem, form);
      },
    },
    modeTabs(),
    scroll,
    h("div", { class: "panel-foot" }, problem, draw, h("p", { class: "hint keys" }, "Ctrl + Enter")),
  );
  const showMode = () => {
    for (const group of GROUPS) {
      const { element } = /** @type {any} */ (folded.get(group.name));
      const before = group.after && !get(group.after);
      element.hidden = Boolean(before || (group.modes && !group.modes.includes(get("mode"))));
    }
    for (const each of form.querySelectorAll("[data-modes]")) {
      each.hidden = !each.dataset.modes.split(" ").includes(get("mode"));
    }
  };
  changed.on((keys) => {
    showMode();
    if (keys.has("mode")) scroll.scrollTop = 0; // what a mode adds stands there
    const wrong = /** @type {HTMLElement | null} */ (form.querySelector("[aria-invalid]"));
    if (!wrong || keys.has(String(wrong.dataset.key))) clearProblem(problem, form);
  });
  showMode();
  return {
    element: form,
    /** Tell whether all fields have values that can be; show the first that has not. */
    check: () => {
      clearProblem(problem, form);
      const wrong = form.querySelector("input:invalid");
      if (wrong) showProblem(problem, form, wrongText(wrong), wrong);
      return !wrong;
    },
    refuse: (/** @type {string} */ text) => showProblem(problem, form, text, fieldNamed(form, text)),
  };
}

function modeTabs() {
  const name = newId("mode");
  const inputs = MODES.map((mode) => {
    const input = h("input", {
      type: "radio", name, value: mode.name, class: "unseen", onchange: () => set("mode", mode.name),
    });
    return h("label", { class: "mode", title: mode.title }, input, icon(mode.icon), h("span", {}, mode.label));
  });
  const show = () => {
    for (const each of inputs) each.firstChild.checked = each.firstChild.value === get("mode");
  };
  changed.on((keys) => keys.has("mode") && show());
  show();
  return h("fieldset", { class: "modes" }, h("legend", { class: "unseen" }, "Mode"), inputs);
}

/** @param {(typeof GROUPS)[number]} group */
function groupOf(group) {
  const fields = FIELDS.filter((field) => field.group === group.name);
  const content = h("div", { class: "fields" }, fields.map((field) => {
    const control = fieldControl(field);
    if (field.modes) control.dataset.modes = field.modes.join(" ");
    return control;
  }));
  if (group.open) {
    const id = newId("group");
    return { content, element: h("div", { class: "group", role: "group", "aria-labelledby": id },
      h("h2", { id, class: "group-head" }, group.label), content) };
  }
  const toggle = group.part && `${group.name}.on`;
  const state = h("span", { class: "badge", hidden: true });
  const inner = GROUPS.filter((each) => each.within === group.name);
  const details = h("details", { class: `group ${group.within ? "inner wide" : ""}` },
    h("summary", { class: "group-head" }, h("span", {}, group.label), state, icon("chevron")),
    toggle && fieldControl({ key: toggle, label: `Use ${group.label.replace(/^[A-Z](?=[^A-Z]+$)/, (first) => first.toLowerCase())}`, kind: "switch", group: "" }),
    content);
  const show = () => {
    const on = !toggle || get(toggle);
    const touched = fields.filter((field) => inMode(field, get("mode")) && get(field.key) !== standardValue(field.key));
    content.hidden = !on;
    const count = touched.length + inner.filter((each) => get(`${each.name}.on`)).length;
    state.hidden = toggle ? !on : count === 0;
    state.textContent = toggle ? "on" : String(count);
  };
  changed.on(show);
  show();
  return { content, element: details };
}

/** @param {HTMLInputElement} input */
function wrongText(input) {
  const label = input.labels?.[0]?.textContent ?? "A setting";
  return `${label}: ${input.validationMessage}`;
}

/** @param {HTMLElement} problem @param {HTMLElement} form @param {string} text @param {any} input */
function showProblem(problem, form, text, input) {
  clearProblem(problem, form);
  problem.id ||= newId("problem");
  problem.hidden = false;
  fill(problem, text);
  if (!input) return;
  for (let each = input.closest("details"); each; each = each.parentElement.closest("details")) each.open = true;
  input.setAttribute("aria-invalid", "true");
  input.setAttribute("aria-errormessage", problem.id);
  input.focus();
}

/** @param {HTMLElement} problem @param {HTMLElement} form */
function clearProblem(problem, form) {
  problem.hidden = true;
  for (const each of form.querySelectorAll("[aria-invalid]")) {
    each.removeAttribute("aria-invalid");
    each.removeAttribute("aria-errormessage");
  }
}

/** Return the control that a sentence of the server is about: its name stands first. The closest name
 * wins, then a control in sight.
 * @param {HTMLElement} form @param {string} text */
function fieldNamed(form, text) {
  const inputs = /** @type {HTMLElement[]} */ ([...form.querySelectorAll("[data-key]")]);
  const ranked = inputs.map((input) => {
    const key = String(input.dataset.key);
    const names = [key, key === "width" ? "size" : key, key.replace(/^controls\.\d+\./, "control ").replace(/^image_prompts\.\d+\./, "ip "), key.split(".").slice(-2).join(" "), key.split(".").at(-1) ?? key];
    const rank = names.findIndex((name) => new RegExp(`^(there is no )?${name.replaceAll("_", "[ _]")}\\b`).test(text));
    return { input, rank: rank < 0 ? Infinity : 2 * rank + Number(input.offsetParent === null) };
  });
  const best = ranked.sort((a, b) => a.rank - b.rank)[0];
  return best?.rank < Infinity ? best.input : undefined;
}
