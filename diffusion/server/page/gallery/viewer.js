// One picture as large as the window, with its settings; arrow keys go on to the next.

import { confirmAction, openDialog } from "/page/core/dialog.js";
import { fill, h } from "/page/core/dom.js";
import { icon } from "/page/core/icons.js";
import { notifyError } from "/page/core/notices.js";
import { moment } from "/page/core/words.js";
import { pictureActions } from "/page/gallery/actions.js";
import { openComparison } from "/page/gallery/compare.js";
import { deletePictures, pictureDetails } from "/page/gallery/pictures.js";
import { valueText } from "/page/settings/differences.js";
import { FIELDS, fullLabel, standardValue } from "/page/settings/fields.js";

/** @typedef {{count: () => number, at: (place: number) => Promise<any>}} Pictures */

/** @param {number} first @param {Pictures} pictures */
export function openViewer(first, pictures) {
  let place = first;
  let go = async (/** @type {number} */ _next) => {};
  const build = (/** @type {() => void} */ close) => {
    const frame = h("div", { class: "viewer-frame" });
    const facts = h("div", { class: "viewer-facts" });
    const arrow = (/** @type {string} */ name, /** @type {string} */ label, /** @type {number} */ step) =>
      h("button", { class: `plain turn ${name}`, "aria-label": label, onclick: () => go(place + step).catch(notifyError) }, icon(name));
    const before = arrow("left", "Newer picture", -1);
    const after = arrow("right", "Older picture", 1);
    go = async (next) => {
      if (next < 0 || next >= pictures.count()) return;
      place = next;
      const picture = await pictures.at(place);
      if (!picture || place !== next) return;
      fill(frame, h("img", { src: picture.url, alt: picture.prompt || "no prompt", width: picture.width, height: picture.height }));
      before.disabled = place === 0;
      after.disabled = place === pictures.count() - 1;
      fill(facts, viewerFacts(picture, close, { place, pictures }));
    };
    go(first).catch(notifyError);
    return h("div", { class: "viewer" }, h("div", { class: "viewer-stage" }, before, frame, after), facts);
  };
  const onkeydown = (/** @type {KeyboardEvent} */ event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (step && !event.ctrlKey && !event.altKey) go(place + step).catch(notifyError);
  };
  return openDialog("Picture", build, { kind: "full", onkeydown });
}

/** @param {any} picture @param {() => void} close @param {{place: number, pictures: Pictures}} around */
function viewerFacts(picture, close, { place, pictures }) {
  const list = h("dl", { class: "facts-list" });
  const notes = h("ul", { class: "notes", hidden: true });
  pictureDetails(picture.id).then((found) => {
    fill(list, factRows(found));
    notes.hidden = !found.notes.length;
    fill(notes, found.notes.map((/** @type {string} */ each) => h("li", {}, each)));
  }).catch(notifyError);
  const remove = async () => {
    if (!(await confirmAction("Delete this picture?", "Its file is deleted for good.", "Delete"))) return;
    await deletePictures([picture.id]);
    close();
  };
  const other = place + 1 < pictures.count() ? place + 1 : place - 1;
  return [
    h("p", { class: "viewer-prompt" }, picture.prompt || "No prompt"),
    h("div", { class: "actions" }, pictureActions(picture, close),
      pictures.count() > 1 && h("button", { class: "small", title: "Compare with the picture beside it",
        onclick: async () => openComparison(picture, await pictures.at(other)) }, icon("compare"), "Compare"),
      h("button", { class: "small danger", onclick: () => remove().catch(notifyError) }, icon("trash"), "Delete")),
    list, notes,
  ];
}

/** Return a row for each setting that is not as ever. @param {any} found */
function factRows(found) {
  const values = flatten(found.settings ?? {});
  const rows = [["Drawn", moment(found.created)], ["Size", `${found.width} × ${found.height}`]];
  for (const { key } of FIELDS) {
    const value = values[key];
    if (value === undefined || value === standardValue(key) || ["width", "height", "count"].includes(key)) continue;
    rows.push([fullLabel(key), valueText(key, value)]);
  }
  if (values.negative) rows.push(["Negative prompt", values.negative]);
  return rows.map(([label, value]) => h("div", {}, h("dt", {}, label), h("dd", {}, value)));
}

/** @param {any} part @param {string} [head] @returns {Record<string, any>} */
function flatten(part, head = "") {
  return Object.fromEntries(Object.entries(part).flatMap(([key, value]) =>
    value && typeof value === "object" ? Object.entries(flatten(value, `${head}${key}.`)) : [[head + key, value]]));
}
