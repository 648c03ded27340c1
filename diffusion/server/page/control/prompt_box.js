// The pictures that an adapter reads as a prompt, above its settings.

import { promptPictures, promptPicturesChanged, setPromptPictures } from "/page/control/prompt_pictures.js";
import { fill, h } from "/page/core/dom.js";
import { icon } from "/page/core/icons.js";
import { notifyError } from "/page/core/notices.js";
import { takeDrops } from "/page/picture/drops.js";
import { pictureInput, thumbnail } from "/page/picture/source_box.js";
import { readPicture } from "/page/picture/source.js";

/** Put the box into the fields of an adapter. @param {number} place @param {HTMLElement} fields */
export function completePrompt(place, fields) {
  const name = `picture prompt ${place + 1}`;
  const box = h("div", { class: "source unit several drop-here" });
  const take = (/** @type {Blob} */ file) =>
    readPicture(file).then((picture) => setPromptPictures(place, [...promptPictures(place), picture])).catch(notifyError);
  const file = pictureInput(`Picture of ${name}`, take);
  const choose = () => file.click();
  const remove = (/** @type {HTMLCanvasElement} */ picture) => setPromptPictures(place, promptPictures(place).filter((each) => each !== picture));
  const combine = fields.querySelector(`[data-key="image_prompts.${place}.combine"]`)?.closest(".field");

  function show() {
    const pictures = promptPictures(place);
    combine?.classList.toggle("absent", pictures.length < 2);
    fill(box, pictures.length
      ? [pictures.map((picture, i) => h("div", { class: "read" }, thumbnail(picture, `Picture ${i + 1} of ${name}`),
        h("button", { type: "button", class: "plain", title: "Remove", "aria-label": `Remove picture ${i + 1} of ${name}`, onclick: () => remove(picture) }, icon("close")))),
      h("button", { type: "button", class: "small", onclick: choose }, "Add a picture")]
      : h("button", { class: "drop", type: "button", onclick: choose }, icon("image"), h("strong", {}, "Choose a picture"),
        h("span", {}, "or drop or paste one here; it is read like words")));
  }

  takeDrops(box, take);
  promptPicturesChanged.on((which) => {
    if (which !== place) return;
    if (promptPictures(place).length) box.closest("details")?.setAttribute("open", "");
    show();
  });
  fields.prepend(box, file);
  show();
}
