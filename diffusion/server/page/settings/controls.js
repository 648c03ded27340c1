// One control for each kind of field. It shows the value, and follows it when others change it.

import { fill, h, newId } from "/page/core/dom.js";
import { icon } from "/page/core/icons.js";
import { arrived, choicesOf, facts } from "/page/settings/choices.js";
import { fullLabel } from "/page/settings/fields.js";
import { randomSeed } from "/page/settings/request.js";
import { changed, get, set } from "/page/settings/values.js";

/** @typedef {import("/page/settings/fields.js").Field} Field */

/** The seed of the newest picture, for the button that takes it. @type {{seed: number | null}} */
export const newest = { seed: null };

/**
 * Return a field with its label, control and hint.
 * @param {Field} field
 * @returns {HTMLElement}
 */
export function fieldControl(field) {
  const id = newId("field");
  const make = { choice, switch: toggle, slider, text, seed, integer: number, number }[field.kind];
  const { body, input, show } = make(field, id);
  const hint = field.hint && h("p", { class: "hint", id: `${id}-hint` }, field.hint);
  if (hint) input.setAttribute("aria-describedby", hint.id);
  input.dataset.key = field.key;
  if (field.tip) input.title = field.tip;
  // Groups have fields of the same name, such as the steps of hires fix.
  if (field.group && fullLabel(field.key) !== field.label) input.setAttribute("aria-label", fullLabel(field.key));
  show(get(field.key));
  changed.on((keys) => {
    if (keys.has(field.key)) show(get(field.key));
  });
  const kind = `field ${field.kind} ${field.wide ? "wide" : ""}`;
  const element = h("div", { class: kind }, field.kind !== "switch" && h("label", { for: id }, field.label), body, hint);
  const { needs } = field;
  if (needs) {
    const showIfNeeded = () => element.classList.toggle("absent", !choicesOf(needs).length && get(field.key) === null);
    arrived.on(showIfNeeded);
    showIfNeeded(); // before the lists are there, it would push what follows down and up again
  }
  return element;
}

/** @typedef {{body: any, input: any, show: (value: any) => void}} Made */

/** @param {Field} field @param {string} id @returns {Made} */
function choice(field, id) {
  const input = h("select", {
    id,
    onchange: () => set(field.key, input.value === "" && field.unset ? null : input.value),
  });
  const build = () => {
    const list = field.values ?? choicesOf(field.choices ?? "");
    const value = get(field.key);
    const known = value === null || list.some((each) => each.name === value);
    const own = field.key === "model" && facts().defaultModel;
    fill(
      input,
      field.unset && h("option", { value: "" }, own ? `${field.unset}: ${own}` : field.unset),
      list.map((each) => h("option", { value: each.name }, each.label)),
      !known && list.length > 0 && h("option", { value }, `${value} (not on this server)`),
    );
    input.value = value ?? "";
  };
  arrived.on(build);
  return { body: input, input, show: build };
}

/** @param {Field} field @param {string} id @returns {Made} */
function toggle(field, id) {
  const input = h("input", {
    type: "checkbox", role: "switch", id, class: "switch", onchange: () => set(field.key, input.checked),
  });
  const body = h("label", { class: "switch-row", for: id }, input, h("span", {}, field.label));
  return { body, input, show: (value) => (input.checked = Boolean(value)) };
}

/** @param {Field} field @param {string} id @returns {Made} */
function number(field, id) {
  const whole = field.kind !== "number";
  const input = h("input", {
    id, type: "number", inputmode: whole ? "numeric" : "decimal", placeholder: field.unset,
    min: field.min, max: field.max, step: whole ? 1 : "any",
    oninput: () => {
      const value = input.value === "" ? (field.standard ?? null) : Number(input.value);
      if (input.validity.valid) set(field.key, value);
    },
    onkeydown: (/** @type {KeyboardEvent} */ event) => stepByKey(event, input, field),
    onblur: () => input.validity.valid && show(get(field.key)),
  });
  const show = (/** @type {any} */ value) => {
    const text = value === null ? "" : String(value);
    if (document.activeElement !== input || Number(input.value) !== value) input.value = text;
  };
  return { body: input, input, show };
}

/** Step by the field's own step, though any number may be typed.
 * @param {KeyboardEvent} event @param {HTMLInputElement} input @param {Field} field */
function stepByKey(event, input, field) {
  const direction = { ArrowUp: 1, ArrowDown: -1 }[event.key];
  if (!direction || event.ctrlKey || event.metaKey || !field.step || input.value === "") return;
  event.preventDefault();
  const next = Math.round((Number(input.value) + direction * field.step) * 1e6) / 1e6;
  input.value = String(Math.min(field.max ?? next, Math.max(field.min ?? next, next)));
  input.dispatchEvent(new Event("input"));
}

/** @param {Field} field @param {string} id @returns {Made} */
function slider(field, id) {
  const exact = number({ ...field, kind: "number" }, id);
  const range = h("input", {
    type: "range", min: field.min, max: field.max, step: field.step, "aria-label": field.label,
    oninput: () => set(field.key, Number(range.value)),
  });
  const show = (/** @type {any} */ value) => {
    range.value = String(value);
    const share = (Number(range.value) - (field.min ?? 0)) / ((field.max ?? 1) - (field.min ?? 0));
    range.style.setProperty("--share", `${100 * share}%`);
    exact.show(value);
  };
  return { body: h("div", { class: "slider-row" }, range, exact.input), input: exact.input, show };
}

/** @param {Field} field @param {string} id @returns {Made} */
function text(field, id) {
  const input = h("textarea", {
    id, rows: 2, placeholder: field.unset, oninput: () => set(field.key, input.value || null),
  });
  return { body: input, input, show: (value) => (input.value = value ?? "") };
}

/** @param {Field} field @param {string} id @returns {Made} */
function seed(field, id) {
  const made = number(field, id);
  const act = (/** @type {string} */ label, /** @type {string} */ name, /** @type {() => void} */ onclick) =>
    h("button", { class: "plain", type: "button", title: label, "aria-label": label, onclick }, icon(name));
  const body = h(
    "div",
    { class: "seed-row" },
    made.input,
    act(`${field.label}: a new one each time`, "dice", () => set(field.key, null)),
    act(`${field.label}: that of the newest picture`, "recycle", () => set(field.key, newest.seed ?? randomSeed())),
  );
  return { ...made, body };
}
