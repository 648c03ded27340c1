// Settings for LoRAs that draw in few steps: they are taken once, and may be changed.

import { fill, h, newId } from "/page/core/dom.js";
import { announce } from "/page/core/notices.js";
import { arrived, choicesOf } from "/page/settings/choices.js";
import { update } from "/page/settings/values.js";

/** Return the list of presets. */
export function speedControl() {
  const id = newId("speed");
  const take = () => {
    const found = /** @type {any} */ (choicesOf("speed").find((each) => each.name === select.value));
    update(found.settings);
    announce(`Sampler, schedule, steps and guidance for ${found.label}`);
    select.value = "";
  };
  const select = h("select", { id, onchange: take });
  arrived.on(() => fill(select, h("option", { value: "" }, "Choose its kind"),
    choicesOf("speed").map((each) => h("option", { value: each.name }, each.label))));
  return h("div", { class: "field wide" }, h("label", { for: id }, "Set all for a LoRA of few steps"), select);
}
