// Two pictures on top of each other, with a slider between them.

import { openDialog } from "/page/core/dialog.js";
import { h } from "/page/core/dom.js";

/** @param {any} left @param {any} right */
export function openComparison(left, right) {
  return openDialog("Compare", () => {
    const picture = (/** @type {any} */ each, /** @type {string} */ side) =>
      h("img", { class: side, src: each.url, alt: `${side === "under" ? "Right" : "Left"}: ${each.prompt || "no prompt"}`, draggable: "false" });
    const over = picture(left, "over");
    const line = h("div", { class: "compare-line" });
    const slider = h("input", { type: "range", min: 0, max: 100, step: 0.5, value: 50, class: "compare-slider",
      "aria-label": "How much of the left picture is shown", oninput: () => show() });
    const show = () => {
      over.style.clipPath = `inset(0 ${100 - Number(slider.value)}% 0 0)`;
      line.style.left = `${slider.value}%`;
    };
    show();
    const name = (/** @type {any} */ each) => `Seed ${each.seed}, ${each.width} × ${each.height}`;
    const box = h("div", { class: "compare-box" }, picture(right, "under"), over, line, slider);
    box.style.aspectRatio = `${left.width} / ${left.height}`;
    box.style.setProperty("--ratio", String(left.width / left.height));
    return h("div", { class: "compare" }, box, h("div", { class: "compare-names" }, h("span", {}, name(left)), h("span", {}, name(right))));
  }, { kind: "full" });
}
