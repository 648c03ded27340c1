// X/Y/Z tables: one job for each cell, shown where it belongs as soon as it is drawn.

import { readControls } from "/page/control/unit_pictures.js";
import { fill, h, newId } from "/page/core/dom.js";
import { icon } from "/page/core/icons.js";
import { notifyError } from "/page/core/notices.js";
import { counted, shorten } from "/page/core/words.js";
import { pictureOf } from "/page/gallery/actions.js";
import { downloadZip } from "/page/gallery/pictures.js";
import { openViewer } from "/page/gallery/viewer.js";
import { cancel, isFinal, jobChanged, jobOf, submit } from "/page/jobs/jobs.js";
import { readSource } from "/page/picture/source.js";
import { buildRequest, randomSeed } from "/page/settings/request.js";
import { all, changed, get } from "/page/settings/values.js";
import { axisChoices, axisValues } from "/page/table/axes.js";

const MOST_CELLS = 400;
const NAMES = ["X", "Y", "Z"];
const NOTHING = { label: "", change: (/** @type {any} */ values) => values };

/** @typedef {{id: string | null, labels: string[], element: HTMLElement, shown: string}} Cell */

/** Return the view of tables. */
export function tableView() {
  const axes = NAMES.map((name, place) => axisPicker(name, place));
  const size = h("p", { class: "total", role: "status" });
  const result = h("div", { class: "tables" });
  const problem = h("div", { class: "problem", role: "alert", hidden: true });
  const stop = h("button", { hidden: true, onclick: () => halt() }, icon("stop"), "Cancel the rest");
  const zip = h("button", { hidden: true, onclick: () => downloadZip(pictures().map((each) => each.id)).catch(notifyError) }, icon("download"), "Zip");
  /** @type {Cell[]} */
  let cells = [];
  let running = new AbortController();
  const pictures = () => cells.flatMap((cell) => {
    const job = cell.id ? jobOf(cell.id) : undefined;
    return job?.pictures?.length ? [pictureOf(job, job.pictures[0])] : [];
  });
  const halt = () => {
    running.abort();
    for (const cell of cells) {
      const job = cell.id ? jobOf(cell.id) : undefined;
      if (job && !isFinal(job)) cancel(job.id).catch(notifyError);
    }
  };
  const count = () => {
    try {
      const lengths = axes.map((axis) => axis.values().length);
      size.textContent = counted(lengths.reduce((a, b) => a * b, 1), "picture");
    } catch {
      size.textContent = "";
    }
  };
  const begin = async () => {
    problem.hidden = true;
    try {
      const [x, y, z] = axes.map((axis) => axis.values());
      if (x.length * y.length * z.length > MOST_CELLS) throw new Error(`A table has at most ${MOST_CELLS} pictures.`);
      /** @type {Record<string, any>} */
      const values = { ...all(), count: 1, seed: get("seed") ?? randomSeed() };
      const source = await readSource(values.mode);
      const controls = await readControls(values);
      const combined = z.flatMap((c) => y.flatMap((b) => x.map((a) => ({ labels: [a, b, c].map((each) => each.label), values: c.change(b.change(a.change(values))) }))));
      halt();
      running = new AbortController();
      cells = combined.map(({ labels }) => ({ id: null, labels, element: h("td", {}, h("span", { class: "cell-wait" }, "…")), shown: "" }));
      fill(result, tables(cells, x, y, z));
      await send(combined.map((each) => buildRequest(each.values, source, controls)), cells, running.signal, () => showCells());
    } catch (error) {
      problem.hidden = false;
      fill(problem, /** @type {Error} */ (error).message);
    }
  };
  const showCells = () => {
    for (const cell of cells) showCell(cell, pictures);
    const open = cells.some((cell) => !cell.id || !isFinal(jobOf(cell.id) ?? {}));
    stop.hidden = !cells.length || !open || running.signal.aborted;
    zip.hidden = pictures().length === 0;
  };
  jobChanged.on((job) => cells.some((cell) => cell.id === job.id) && showCells());
  const element = h("section", { class: "table-view", "aria-label": "Table" },
    h("div", { class: "table-head" },
      h("div", {}, h("h1", {}, "Compare settings in a table"), h("p", { class: "hint" },
        "Takes the settings of the Create view, and changes one with each axis. Values stand between commas; numbers also as 1-5, 1-9(+2) or 0-1[5]. Of words, the first is replaced by the others.")),
      h("form", { class: "axes", onsubmit: (/** @type {Event} */ event) => (event.preventDefault(), begin()), oninput: count },
        axes.map((axis) => axis.element), problem,
        h("div", { class: "buttons" }, h("button", { class: "primary", type: "submit" }, icon("table"), "Draw the table"), stop, zip, size))),
    result);
  count();
  return { element, show: () => axes.forEach((axis) => axis.refresh()) };
}

/** Send the jobs one after another. @param {any[]} bodies @param {Cell[]} cells @param {AbortSignal} signal @param {() => void} tell */
async function send(bodies, cells, signal, tell) {
  for (const [i, body] of bodies.entries()) {
    if (signal.aborted) return;
    const job = await submit(body, () => {}, signal);
    cells[i].id = job.id;
    if (signal.aborted) await cancel(job.id);
    tell();
  }
}

/** @param {string} name @param {number} place */
function axisPicker(name, place) {
  const id = newId("axis");
  const select = h("select", { id, onchange: () => element.dispatchEvent(new Event("input", { bubbles: true })) });
  const input = h("input", { type: "text", "aria-label": `Values of ${name}`, placeholder: "Values" });
  const element = h("div", { class: "axis" }, h("label", { for: id }, name), select, input);
  const refresh = () => {
    const value = select.value || ["seed", "steps", ""][place];
    fill(select, h("option", { value: "" }, "Nothing"), axisChoices(get("mode")).map((each) => h("option", { value: each.key }, each.label)));
    select.value = value;
  };
  refresh();
  changed.on((keys) => keys.has("mode") && refresh());
  input.value = ["1-3", "4, 8", ""][place];
  return { element, refresh, values: () => (select.value ? axisValues(select.value, input.value) : [NOTHING]) };
}

/** @param {Cell[]} cells @param {any[]} x @param {any[]} y @param {any[]} z */
function tables(cells, x, y, z) {
  return z.map((c, k) => h("div", { class: "scroll-x", tabindex: "0", role: "region", "aria-label": c.label || "The pictures of the table" },
    h("table", { class: "xyz" }, c.label && h("caption", {}, c.label),
      h("thead", {}, h("tr", {}, h("td"), x.map((a) => h("th", { scope: "col" }, shorten(a.label, 60))))),
      h("tbody", {}, y.map((b, j) => h("tr", {}, h("th", { scope: "row" }, shorten(b.label, 60)),
        x.map((_, i) => cells[(k * y.length + j) * x.length + i].element)))))));
}

/** @param {Cell} cell @param {() => any[]} pictures */
function showCell(cell, pictures) {
  const job = cell.id ? jobOf(cell.id) : undefined;
  if (!job) return;
  const picture = job.pictures?.[0];
  const state = `${job.state} ${Boolean(picture)}`;
  if (cell.shown === state) return;
  cell.shown = state;
  const label = cell.labels.filter(Boolean).join(", ");
  const open = () => {
    const all = pictures();
    openViewer(all.findIndex((each) => each.job === job.id), { count: () => all.length, at: async (i) => all[i] });
  };
  fill(cell.element, picture
    ? h("button", { class: "thumb", "aria-label": `Open ${label}`, onclick: open }, h("img", { src: `/api/v1/gallery/${job.id}-${picture.number}/thumbnail?size=320`, alt: label }))
    : h("span", { class: "cell-wait" }, job.state === "failed" ? shorten(job.message, 80) : job.state));
}


