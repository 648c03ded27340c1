// A row of choices of which one is on.

import { h, newId } from "/page/core/dom.js";

/**
 * @param {string} legend @param {{value: string, label: string}[]} choices the first is on
 * @param {() => void} onchange
 */
export function radioTabs(legend, choices, onchange) {
  const name = newId("tabs");
  const inputs = choices.map(({ value }, i) => h("input", { type: "radio", name, value, class: "unseen", checked: i === 0, onchange }));
  const element = h("fieldset", { class: "modes tabs" }, h("legend", { class: "unseen" }, legend),
    inputs.map((input, i) => h("label", { class: "mode" }, input, h("span", {}, choices[i].label))));
  return {
    element,
    value: () => inputs.find((each) => each.checked)?.value,
    choose: (/** @type {string} */ value) => {
      for (const each of inputs) each.checked = each.value === value;
    },
  };
}
