// Settings from a picture: a dialog shows what differs, and takes what is ticked.

import { call } from "/page/core/api.js";
import { openDialog } from "/page/core/dialog.js";
import { h } from "/page/core/dom.js";
import { icon } from "/page/core/icons.js";
import { notify, notifyError } from "/page/core/notices.js";
import { shorten, toBase64 } from "/page/core/words.js";
import { takeFile } from "/page/picture/source.js";
import { findDifferences, valueText } from "/page/settings/differences.js";
import { isExact, valuesOf } from "/page/settings/request.js";
import { all, get, update } from "/page/settings/values.js";

const INFOTEXT = /\nSteps: \d+, /;
const LONGEST_TEXT = 1e6;

/**
 * Show what differs from a picture's settings; take what the user wants.
 * @param {{settings: any, notes: string[], infotext?: string}} found
 * @param {Blob} [file] the picture itself, which may also be started from
 * @returns {Promise<boolean>} whether anything was taken
 */
export async function offerSettings({ settings, notes, infotext }, file) {
  const differences = settings ? findDifferences(all(), valuesOf(settings)) : [];
  const told = isExact(settings?.seed) ? notes : [...notes, "its seed is too large for a browser; the command line takes it"];
  let taken = false;
  await openDialog("Settings of this picture", (close) => {
    const boxes = differences.map(({ key }) => h("input", { type: "checkbox", checked: true, data: { key } }));
    const apply = () => {
      const keys = new Set(boxes.filter((each) => each.checked).map((each) => each.dataset.key));
      update(Object.fromEntries(differences.filter((each) => keys.has(each.key)).map((each) => [each.key, each.then])));
      taken = true;
      close();
    };
    const start = () => (takeFile(/** @type {Blob} */ (file)).then(() => get("mode") === "text" && update({ mode: "image" })).catch(notifyError), close());
    return [
      differences.length ? differenceTable(differences, boxes) : settings && h("p", {}, "Your settings are the same."),
      told.length > 0 && h("ul", { class: "notes" }, told.map((note) => h("li", {}, note))),
      infotext && h("details", { class: "inset" }, h("summary", {}, h("span", {}, "The text in the picture"), icon("chevron")), h("pre", { tabindex: "0" }, infotext)),
      h("div", { class: "buttons end" },
        file && h("button", { onclick: start }, "Start from this picture"),
        h("button", { onclick: close }, "Cancel"),
        differences.length > 0 && h("button", { class: "primary", onclick: apply, autofocus: true }, "Use these settings")),
    ];
  }, { kind: "wide" });
  return taken;
}

/** @param {import("/page/settings/differences.js").Difference[]} differences @param {any[]} boxes */
function differenceTable(differences, boxes) {
  const cell = (/** @type {string} */ key, /** @type {any} */ value) => shorten(valueText(key, value), 400);
  return h("div", { class: "scroll-x", tabindex: "0", role: "region", "aria-label": "What differs" },
    h("table", { class: "differences" },
      h("thead", {}, h("tr", {}, ["Setting", "Now", "In the picture"].map((each) => h("th", { scope: "col" }, each)))),
      h("tbody", {}, differences.map(({ key, label, now, then }, i) => h("tr", {},
        h("th", { scope: "row" }, h("label", {}, boxes[i], h("span", {}, label))),
        h("td", { class: "old" }, cell(key, now)),
        h("td", { class: "new" }, cell(key, then)))))));
}

/** Read the settings in a file that was dropped or pasted, and offer them. @param {Blob} file */
async function readFile(file) {
  let found;
  try {
    found = await call("POST", "/api/v1/gallery/read", { image: await toBase64(file) });
  } catch (error) {
    const { status } = /** @type {any} */ (error);
    if (![413, 422].includes(status)) throw error;
    await takeFile(file);
    if (get("mode") === "text") update({ mode: "image" });
    const why = status === 413 ? "is too large to look for settings" : "holds no settings";
    notify(`This picture ${why}; it is now the picture to start from.`);
    return;
  }
  if (await offerSettings(found, file)) location.hash = "#create";
}

/** Take pictures and settings that are dropped or pasted anywhere. */
export function listenForFiles() {
  const shade = document.documentElement.classList;
  const pictureIn = (/** @type {DataTransfer | null} */ data) => [...(data?.files ?? [])].find((file) => file.type.startsWith("image/"));
  const take = (/** @type {File} */ file) => {
    if (get("mode") === "text" || !["", "#create"].includes(location.hash)) readFile(file).catch(notifyError);
    else takeOrRead(file).catch(notifyError);
  };
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    if (event.dataTransfer?.types.includes("Files")) shade.add("dropping");
  });
  document.addEventListener("dragleave", (event) => event.relatedTarget === null && shade.remove("dropping"));
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    shade.remove("dropping");
    const file = pictureIn(event.dataTransfer);
    const other = event.dataTransfer?.files[0];
    if (file) take(file);
    else if (other) takeText(other).catch(notifyError);
  });
  document.addEventListener("paste", (event) => {
    const file = pictureIn(event.clipboardData);
    if (file) {
      event.preventDefault();
      take(file);
      return;
    }
    const text = event.clipboardData?.getData("text") ?? "";
    if (!INFOTEXT.test(text)) return;
    event.preventDefault();
    readText(text).catch(notifyError);
  });
}

/** @param {string} text */
async function readText(text) {
  await offerSettings(await call("POST", "/api/v1/gallery/read", { text }));
}

/** Take the settings in a file of text, as tools write them beside pictures. @param {File} file */
async function takeText(file) {
  const text = file.size < LONGEST_TEXT ? await file.text() : "";
  if (!INFOTEXT.test(text)) throw new Error("Drop a PNG, JPEG or WebP here, or a text with the settings of a picture.");
  await readText(text);
}

/** Where a picture is started from, a file without settings is that picture. @param {File} file */
async function takeOrRead(file) {
  await takeFile(file);
  notify("This is now the picture to start from.", { action: "Use its settings instead", onaction: () => readFile(file).catch(notifyError) });
}
