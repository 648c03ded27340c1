// The stage: the picture under way with its progress, then the pictures; in inpainting the canvas.

import { fill, h } from "/page/core/dom.js";
import { icon } from "/page/core/icons.js";
import { announce, notifyError } from "/page/core/notices.js";
import { radioTabs } from "/page/core/tabs.js";
import { counted, shorten } from "/page/core/words.js";
import { pictureActions, pictureOf } from "/page/gallery/actions.js";
import { openViewer } from "/page/gallery/viewer.js";
import { cancel, isFinal, jobChanged, jobOf } from "/page/jobs/jobs.js";
import { progressText } from "/page/jobs/queue.js";
import { maskEditor } from "/page/picture/editor.js";
import { source, sourceChanged } from "/page/picture/source.js";
import { changed, get, update } from "/page/settings/values.js";

const EXAMPLES = [
  "a red apple", "a cat with sunglasses", "a house in the snow", "a rocket",
];

/** Return the stage; `watch` shows a job, `wait` that one is sent. @param {() => void} draw */
export function stage(draw) {
  const view = h("div", { class: "view" });
  const caption = h("div", { class: "caption" });
  const editor = h("div", { class: "editor-frame" }, maskEditor());
  const tabs = radioTabs("Show", [{ value: "canvas", label: "Canvas" }, { value: "result", label: "Result" }], () => show());
  const element = h("section", { class: "stage", "aria-label": "Stage" }, tabs.element, editor, view, caption);
  /** @type {string | null} */
  let watched = null;
  let drawn = "";

  function show() {
    const painting = get("mode") === "inpaint" && source.image && tabs.value() === "canvas";
    tabs.element.hidden = get("mode") !== "inpaint" || !source.image;
    editor.hidden = !painting;
    view.hidden = caption.hidden = Boolean(painting);
    const job = watched ? jobOf(watched) : undefined;
    element.classList.toggle("busy", Boolean(job && !isFinal(job)));
    const state = job ? `${job.id} ${job.state} ${job.pictures?.length} ${job.preview}` : "none";
    if (state !== drawn) {
      drawn = state;
      fill(view, job ? jobView(job) : emptyView(draw));
      fill(caption, job && jobCaption(job));
    }
    if (job) updateProgress(caption, job);
  }

  jobChanged.on((job) => job.id === watched && show());
  changed.on((keys) => keys.has("mode") && show());
  sourceChanged.on(() => {
    tabs.choose("canvas");
    show();
  });
  show();
  return {
    element,
    watched: () => watched,
    watch: (/** @type {string | null} */ id) => {
      watched = id;
      tabs.choose("result");
      show();
    },
    wait: (/** @type {string} */ text) => {
      tabs.choose("result");
      watched = null;
      drawn = "waiting";
      show();
      fill(view, h("div", { class: "blank" }, h("span", { class: "spinner" }), h("p", {}, text)));
      fill(caption);
      drawn = "waiting";
    },
  };
}

/** @param {() => void} draw */
function emptyView(draw) {
  return h("div", { class: "blank" },
    h("div", { class: "hill", "aria-hidden": "true" }),
    h("h2", {}, "What shall it be?"),
    h("p", {}, "Describe a picture, then press Generate. Or try one of these:"),
    h("div", { class: "examples" }, EXAMPLES.map((prompt) =>
      h("button", { class: "chip", onclick: () => (update({ prompt, mode: "text" }), draw()) }, prompt))));
}

/** @param {any} job */
function jobView(job) {
  const pictures = job.pictures ?? [];
  if (pictures.length) {
    const several = pictures.length > 1 ? "several" : "";
    return h("div", { class: `results ${several}` }, pictures.map((/** @type {any} */ each) => resultButton(job, each)));
  }
  if (job.state === "failed") {
    return h("div", { class: "blank failed", role: "alert" }, h("h2", {}, "It failed"), h("p", {}, job.message));
  }
  if (job.state === "cancelled") return h("div", { class: "blank" }, h("h2", {}, "Cancelled"), h("p", {}, shorten(job.prompt, 200)));
  if (job.preview) {
    return h("div", { class: "results" }, h("img", {
      class: "preview", src: `/api/v1/jobs/${job.id}/preview?number=${job.preview}`, alt: `Preview: ${job.prompt}`,
    }));
  }
  return h("div", { class: "blank" }, h("div", { class: "hill moving", "aria-hidden": "true" }));
}

/** @param {any} job @param {any} picture */
function resultButton(job, picture) {
  const all = job.pictures.map((/** @type {any} */ each) => pictureOf(job, each));
  const place = job.pictures.indexOf(picture);
  return h("button", { class: "result", "aria-label": `Open picture ${place + 1}: ${job.prompt || "no prompt"}`,
    onclick: () => openViewer(place, { count: () => all.length, at: async (i) => all[i] }) },
    h("img", { src: picture.url, alt: job.prompt || "no prompt", width: picture.width, height: picture.height }));
}

/** @param {any} job */
function jobCaption(job) {
  if (isFinal(job)) {
    const first = job.pictures?.[0];
    if (!first) return null;
    if (job.pictures.length > 1) return h("p", { class: "facts" }, `${counted(job.pictures.length, "picture")}. Choose one to go on with it.`);
    return [h("p", { class: "facts" }, `${first.width} × ${first.height}, seed ${first.seed}`),
      h("div", { class: "actions" }, pictureActions(pictureOf(job, first)))];
  }
  return h("div", { class: "progress" },
    h("div", { class: "progress-row" },
      h("span", { class: "progress-text" }),
      h("button", { class: "small", onclick: () => cancel(job.id).then(() => announce("Cancelled")).catch(notifyError) }, icon("stop"), "Cancel")),
    h("progress", { max: 1, value: 0, "aria-label": "Progress" }));
}

/** @param {Element} caption @param {any} job */
function updateProgress(caption, job) {
  const text = caption.querySelector(".progress-text");
  const bar = caption.querySelector("progress");
  if (!text || !bar) return;
  const words = job.state === "queued" ? "Waits in the queue" : progressText(job);
  text.textContent = words[0].toUpperCase() + words.slice(1);
  bar.value = job.progress ?? 0;
  announce(words);
}
