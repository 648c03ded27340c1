// What a control unit has beside its settings: its picture, and a view of the map made of it.

import { call } from "/page/core/api.js";
import { fill, h } from "/page/core/dom.js";
import { icon } from "/page/core/icons.js";
import { notifyError } from "/page/core/notices.js";
import { preprocessorOf, setUnitPicture, unitPicture, unitPictureChanged } from "/page/control/unit_pictures.js";
import { takeDrops } from "/page/picture/drops.js";
import { pictureInput, thumbnail } from "/page/picture/source_box.js";
import { encode, readPicture, source, sourceChanged } from "/page/picture/source.js";
import { arrived, choicesOf } from "/page/settings/choices.js";
import { changed, get, set } from "/page/settings/values.js";

/** Put the picture of a unit above its settings, and name these after its preprocessor. @param {number} place @param {HTMLElement} fields */
export function completeUnit(place, fields) {
  const key = (/** @type {string} */ name) => `controls.${place}.${name}`;
  const box = h("div", { class: "source unit drop-here" });
  const map = h("div", { class: "unit-map" });
  const take = (/** @type {Blob} */ file) => readPicture(file).then((picture) => setUnitPicture(place, picture)).catch(notifyError);
  const file = pictureInput(`Picture of control ${place + 1}`, take);
  const preview = h("button", { type: "button", class: "small", onclick: () => showMap().catch(notifyError) }, icon("image"), "Show the map");
  let asked = 0;

  async function showMap() {
    const picture = unitPicture(place) ?? source.image;
    if (!picture) throw new Error(`Control ${place + 1}: choose its picture.`);
    const number = (asked += 1);
    fill(map, h("span", { class: "spinner" }));
    try {
      const fields = Object.fromEntries(["preprocessor", "resolution", "threshold_a", "threshold_b"].map((name) => [name, get(key(name))]));
      const made = await call("POST", "/api/v1/preprocess", { ...fields, image: await encode(picture) });
      if (number !== asked) return;
      const bytes = Uint8Array.from(atob(made.image), (letter) => letter.charCodeAt(0));
      fill(map, thumbnail(await readPicture(new Blob([bytes])), `The map of control ${place + 1}`));
    } catch (error) {
      fill(map);
      throw error;
    }
  }

  function show() {
    const picture = unitPicture(place);
    fill(map);
    asked += 1;
    preview.hidden = !picture && !(source.image && get("mode") !== "text");
    fill(box, picture
      ? [thumbnail(picture, `The picture of control ${place + 1}`), map,
        h("div", { class: "source-facts" }, h("span", {}, `${picture.width} × ${picture.height}`),
          h("div", { class: "buttons" },
            h("button", { type: "button", class: "small", onclick: () => file.click() }, "Replace"),
            h("button", { type: "button", class: "small", onclick: () => setUnitPicture(place, null) }, "Remove"), preview))]
      : [h("button", { class: "drop", type: "button", onclick: () => file.click() }, icon("image"), h("strong", {}, "Choose a picture"),
        h("span", {}, get("mode") === "text" ? "or drop or paste one here" : "or drop one here; else the picture above leads")), map, preview]);
  }

  function nameThresholds() {
    const found = preprocessorOf(place);
    for (const side of ["a", "b"]) {
      const input = /** @type {any} */ (fields.querySelector(`[data-key="${key(`threshold_${side}`)}"]`));
      const about = found?.[side];
      const field = input.closest(".field");
      field.classList.toggle("absent", !about);
      if (found && !about) set(key(`threshold_${side}`), null);
      if (!about) continue;
      field.querySelector("label").textContent = about.title;
      input.setAttribute("aria-label", `Control ${place + 1}: ${about.title}`);
      Object.assign(input, { placeholder: String(about.default), min: about.least, max: about.most });
    }
    const absent = (/** @type {string} */ name, /** @type {boolean} */ off) =>
      fields.querySelector(`[data-key="${key(name)}"]`)?.closest(".field")?.classList.toggle("absent", off);
    absent("resolution", get(key("preprocessor")) === "none");
    const unions = choicesOf("control_models").some((each) => each.name === get(key("model")) && /union|promax/i.test(each.name));
    absent("kind", !unions && get(key("kind")) === null);
  }

  takeDrops(box, take);
  const shown = new Set(["mode", ...["preprocessor", "resolution", "threshold_a", "threshold_b"].map(key)]);
  changed.on((keys) => {
    if ([...keys].some((each) => shown.has(each))) show();
    if (keys.has(key("preprocessor")) || keys.has(key("model"))) nameThresholds();
  });
  unitPictureChanged.on((which) => {
    if (which !== place) return;
    if (unitPicture(place)) box.closest("details")?.setAttribute("open", "");
    show();
  });
  sourceChanged.on(show);
  arrived.on(nameThresholds);
  fields.prepend(box, file);
  show();
  nameThresholds();
}
