// The gallery: search, the grid, and what can be done with chosen pictures.

import { confirmAction } from "/page/core/dialog.js";
import { fill, h, newId } from "/page/core/dom.js";
import { icon } from "/page/core/icons.js";
import { announce, notifyError } from "/page/core/notices.js";
import { counted } from "/page/core/words.js";
import { openComparison } from "/page/gallery/compare.js";
import { PictureGrid } from "/page/gallery/grid.js";
import { PictureList, deletePictures, downloadZip, galleryChanged } from "/page/gallery/pictures.js";
import { openViewer } from "/page/gallery/viewer.js";
import { jobEnded } from "/page/jobs/jobs.js";
import { arrived, choicesOf } from "/page/settings/choices.js";

const PAUSE_MS = 250;
const DAY_S = 86400;

/** Return the view; `show` asks for the pictures anew. */
export function galleryView() {
  /** @type {Map<string, any>} */
  const chosen = new Map();
  const grid = new PictureGrid({
    onopen: (place) => pictures && openViewer(place, pictures),
    onchoose: (picture, on) => {
      if (on) chosen.set(picture.id, picture);
      else chosen.delete(picture.id);
      showChosen();
    },
  });
  /** @type {PictureList | null} */
  let pictures = null;
  let stale = true;
  let asked = 0;
  const total = h("p", { class: "total", role: "status" });
  const bar = h("div", { class: "chosen-bar", hidden: true });
  const none = h("div", { class: "blank", hidden: true });
  const filters = searchForm(() => load());

  async function load() {
    const number = (asked += 1);
    try {
      const found = await new PictureList(filters.query()).begin();
      if (number !== asked) return;
      pictures = found;
      stale = false;
      total.textContent = counted(found.total, "picture");
      none.hidden = found.total > 0;
      grid.element.hidden = found.total === 0;
      fill(none, h("div", { class: "hill", "aria-hidden": "true" }), h("h2", {}, filters.query().size ? "Nothing found" : "No pictures yet"),
        h("p", {}, filters.query().size ? "Try fewer words, or another time." : "What you draw will be here."));
      grid.show(found);
    } catch (error) {
      notifyError(error);
    }
  }

  function showChosen() {
    bar.hidden = chosen.size === 0;
    element.classList.toggle("choosing", chosen.size > 0);
    const clear = () => {
      chosen.clear();
      grid.chosen.clear();
      for (const box of grid.list.querySelectorAll("input:checked")) /** @type {any} */ (box).checked = false;
      showChosen();
    };
    const remove = async () => {
      const ids = [...chosen.keys()];
      if (!(await confirmAction(`Delete ${counted(ids.length, "picture")}?`, "The files are deleted for good.", "Delete"))) return;
      await deletePictures(ids);
      announce(`${counted(ids.length, "picture")} deleted`);
      clear();
    };
    const [left, right] = [...chosen.values()];
    fill(bar, h("strong", {}, `${counted(chosen.size, "picture")} chosen`),
      h("div", { class: "actions" },
        chosen.size === 2 && h("button", { class: "small", onclick: () => openComparison(left, right) }, icon("compare"), "Compare"),
        h("button", { class: "small", onclick: () => downloadZip([...chosen.keys()]).catch(notifyError) }, icon("download"), "Zip"),
        h("button", { class: "small danger", onclick: () => remove().catch(notifyError) }, icon("trash"), "Delete"),
        h("button", { class: "small", onclick: clear }, "Clear")));
  }

  const element = h("section", { class: "gallery", "aria-label": "Gallery" },
    h("h1", { class: "unseen" }, "Gallery"),
    h("div", { class: "gallery-head" }, filters.element, total), bar, none, grid.element);
  const renew = () => {
    stale = true;
    if (element.isConnected) load();
  };
  galleryChanged.on(() => {
    chosen.clear();
    grid.chosen.clear();
    showChosen();
    renew();
  });
  jobEnded.on(renew);
  return { element, show: () => (stale ? load() : grid.measure()) };
}

/** @param {() => void} onchange */
function searchForm(onchange) {
  let timer = 0;
  const later = () => {
    clearTimeout(timer);
    timer = setTimeout(onchange, PAUSE_MS);
  };
  const words = h("input", { type: "search", placeholder: "Words of the prompt", "aria-label": "Words of the prompt", oninput: later });
  const model = h("select", { onchange, "aria-label": "Model" });
  const build = () => {
    const value = model.value;
    fill(model, h("option", { value: "" }, "All models"), choicesOf("models").map((each) => h("option", { value: each.name }, each.name)));
    model.value = value;
  };
  arrived.on(build);
  build();
  const [from, to] = ["From", "To"].map((label) => dateInput(label, onchange));
  const query = () => {
    const found = new URLSearchParams();
    if (words.value.trim()) found.set("search", words.value);
    if (model.value) found.set("model", model.value);
    if (from.value()) found.set("since", String(from.value()));
    if (to.value()) found.set("until", String(/** @type {number} */ (to.value()) + DAY_S));
    return found;
  };
  const element = h("form", { class: "filters", role: "search", onsubmit: (/** @type {Event} */ event) => (event.preventDefault(), onchange()) },
    h("div", { class: "search-box" }, icon("search"), words), model, from.element, to.element);
  return { element, query };
}

/** @param {string} label @param {() => void} onchange */
function dateInput(label, onchange) {
  const id = newId("date");
  const input = h("input", { type: "date", id, onchange });
  return {
    element: h("div", { class: "date" }, h("label", { for: id }, label), input),
    value: () => (input.valueAsDate ? new Date(`${input.value}T00:00`).getTime() / 1000 : null),
  };
}
