// The view where pictures are made: settings, stage, queue and the newest pictures.

import { readImagePrompts } from "/page/control/prompt_pictures.js";
import { readControls } from "/page/control/unit_pictures.js";
import { h } from "/page/core/dom.js";
import { announce, notifyError } from "/page/core/notices.js";
import { drawAsked } from "/page/gallery/actions.js";
import { cancel, isFinal, jobEnded, jobOf, move, openJobs, submit } from "/page/jobs/jobs.js";
import { queuePanel } from "/page/jobs/queue.js";
import { recentPanel } from "/page/jobs/recent.js";
import { stage } from "/page/jobs/stage.js";
import { readSource } from "/page/picture/source.js";
import { extensionBox, sourceBox } from "/page/picture/source_box.js";
import { settingsPanel } from "/page/settings/panel.js";
import { buildRequest } from "/page/settings/request.js";
import { all } from "/page/settings/values.js";

const WATCHED = "avila-watched";

/** Return the view, and what keys do in it. */
export function createView() {
  const draw = () => drawNow(false);
  const panel = settingsPanel({ ondraw: draw, source: sourceBox(), extension: extensionBox() });
  const picture = stage(draw);
  const recent = recentPanel();
  /** Jobs of this tab, newest last. @type {string[]} */
  const mine = [];

  const watch = (/** @type {string} */ id) => {
    picture.watch(id);
    sessionStorage.setItem(WATCHED, id);
  };

  async function drawNow(/** @type {boolean} */ first) {
    if (!panel.check()) return;
    try {
      const values = all();
      const body = buildRequest(values, await readSource(values.mode), { controls: await readControls(values), image_prompts: await readImagePrompts(values) });
      const busy = isBusy();
      const job = await submit(body, (text) => (busy ? announce(text) : picture.wait(text)));
      mine.push(job.id);
      if (first) await move(job.id, 0).catch(() => undefined);
      if (busy) announce("Queued");
      else watch(job.id);
    } catch (error) {
      panel.refuse(/** @type {Error} */ (error).message);
    }
  }

  const isBusy = () => {
    const id = picture.watched();
    const job = id ? jobOf(id) : undefined;
    return Boolean(job && !isFinal(job));
  };

  jobEnded.on((job) => {
    if (job.id === picture.watched()) announce(job.state === "done" ? "The picture is done" : job.state);
    const next = mine.find((id) => id > job.id && !isFinal(jobOf(id) ?? {}));
    if (job.id === picture.watched() && next) watch(next);
  });
  drawAsked.on(draw);

  const element = h("div", { class: "create" }, h("h1", { class: "unseen" }, "Create pictures"), panel.element, picture.element,
    h("aside", { class: "side", "aria-label": "Queue and newest pictures" }, queuePanel(), recent.element));
  return {
    element,
    show: () => recent.load(),
    /** Go on with what a reload interrupted. */
    resume: () => {
      const open = openJobs()[0]?.id;
      const id = sessionStorage.getItem(WATCHED);
      const known = id && jobOf(id) ? id : open;
      if (known && !picture.watched()) watch(known);
    },
    draw,
    drawFirst: () => drawNow(true),
    cancel: () => {
      const isOpen = (/** @type {string} */ each) => !isFinal(jobOf(each) ?? { state: "done" });
      const id = [picture.watched() ?? "", ...mine].find(isOpen);
      if (id) cancel(id).then(() => announce("Cancelled")).catch(notifyError);
    },
  };
}
