// The box in the panel that shows the picture to start from, and takes another one; outpainting.

import { notify, notifyError } from "/page/core/notices.js";
import { fill, h, newId } from "/page/core/dom.js";
import { icon } from "/page/core/icons.js";
import { context } from "/page/picture/canvas.js";
import { dropSource, extendSource, source, sourceChanged, takeFile } from "/page/picture/source.js";
import { set } from "/page/settings/values.js";

const EXTENDING_STRENGTH = 0.9;
const SIDES = /** @type {const} */ (["left", "top", "right", "bottom"]);

/** Return the box. */
export function sourceBox() {
  const box = h("div", { class: "source" });
  const file = pictureInput("Picture file", (given) => takeFile(given).catch(notifyError));
  const choose = () => file.click();
  const show = () => {
    const { image } = source;
    if (!image) {
      fill(box, h("button", { class: "drop", type: "button", onclick: choose }, icon("image"),
        h("strong", {}, "Choose a picture"), h("span", {}, "or drop or paste one anywhere")));
      return;
    }
    fill(box, thumbnail(image, "The picture to start from"),
      h("div", { class: "source-facts" }, h("span", {}, `${image.width} × ${image.height}`),
        h("div", { class: "buttons" },
          h("button", { type: "button", class: "small", onclick: choose }, "Replace"),
          h("button", { type: "button", class: "small", onclick: dropSource }, "Remove"))));
  };
  sourceChanged.on(show);
  show();
  return h("div", {}, box, file);
}

/** Return the input that chooses a file. @param {string} label @param {(file: Blob) => void} take */
export function pictureInput(label, take) {
  const file = h("input", { type: "file", accept: "image/png,image/jpeg,image/webp", class: "unseen", tabindex: "-1", "aria-label": label,
    onchange: () => {
      if (file.files[0]) take(file.files[0]);
      file.value = "";
    } });
  return file;
}

/** Return a picture small. @param {HTMLCanvasElement} image @param {string} label */
export function thumbnail(image, label) {
  const small = h("canvas", { class: "source-picture", role: "img", "aria-label": label });
  const scale = Math.min(1, 320 / Math.max(image.width, image.height));
  Object.assign(small, { width: Math.max(1, image.width * scale), height: Math.max(1, image.height * scale) });
  context(small).drawImage(image, 0, 0, small.width, small.height);
  return small;
}

/** Return the controls that extend the picture beyond its edges. */
export function extensionBox() {
  const inputs = Object.fromEntries(SIDES.map((side) => [side, pixels(side)]));
  const overlap = pixels("overlap", 16);
  const extend = () => {
    const read = (/** @type {HTMLInputElement} */ input) => Math.min(4096, Math.max(0, Math.round(Number(input.value) || 0)));
    const sides = /** @type {any} */ (Object.fromEntries(SIDES.map((side) => [side, read(inputs[side].input)])));
    if (!SIDES.some((side) => sides[side])) return notify("Give pixels for one side at least.", { kind: "error" });
    if (!source.image) return notify("Choose a picture first.", { kind: "error" });
    try {
      extendSource(sides, read(overlap.input));
    } catch (error) {
      return notifyError(error);
    }
    set("init_image.strength", EXTENDING_STRENGTH);
    return notify("The new parts are masked, and strength is 0.9.");
  };
  return h("details", { class: "inset wide" },
    h("summary", {}, h("span", {}, "Extend the picture"), icon("chevron")),
    h("div", { class: "fields sides" }, SIDES.map((side) => inputs[side].element), overlap.element,
      h("button", { type: "button", onclick: extend }, icon("expand"), "Extend")));
}

/** @param {string} name @param {number} [value] */
function pixels(name, value = 0) {
  const id = newId(name);
  const label = name[0].toUpperCase() + name.slice(1);
  const input = h("input", { id, type: "number", min: 0, max: 4096, step: 8, value: String(value) });
  return { input, element: h("div", { class: "field" }, h("label", { for: id }, label), input) };
}
