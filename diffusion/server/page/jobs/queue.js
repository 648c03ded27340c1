// The queue: what is drawn and what waits; cancel, and change the order.

import { announce, notifyError } from "/page/core/notices.js";
import { fill, h } from "/page/core/dom.js";
import { icon } from "/page/core/icons.js";
import { counted, duration, shorten } from "/page/core/words.js";
import { cancel, jobChanged, jobsChanged, move, openJobs } from "/page/jobs/jobs.js";

/** Return the panel of the queue. */
export function queuePanel() {
  const list = h("ol", { class: "queue", "aria-label": "Jobs in the queue" });
  const none = h("p", { class: "empty-line" }, "Nothing waits.");
  const head = h("span", { class: "badge", hidden: true });
  /** @type {Map<string, ReturnType<typeof queueRow>>} */
  const rows = new Map();
  const show = () => {
    const open = openJobs();
    const ids = new Set(open.map((job) => job.id));
    for (const id of [...rows.keys()]) if (!ids.has(id)) rows.delete(id);
    const waiting = open.filter((job) => job.state === "queued");
    const elements = open.map((job) => {
      const row = rows.get(job.id) ?? queueRow(job.id);
      rows.set(job.id, row);
      row.show(job, waiting.indexOf(job), waiting.length);
      return row.element;
    });
    if (elements.some((each, i) => list.children[i] !== each) || list.children.length > elements.length) {
      keepFocus(list, () => fill(list, elements));
    }
    none.hidden = open.length > 0;
    head.hidden = open.length === 0;
    head.textContent = String(open.length);
  };
  jobsChanged.on(show);
  jobChanged.on(show);
  show();
  return h("section", { class: "side-part", "aria-labelledby": "queue-head" },
    h("h2", { id: "queue-head", class: "side-head" }, icon("queue"), "Queue", head), list, none);
}

/** Keep the focus on a button whose row is moved. @param {Element} list @param {() => void} change */
function keepFocus(list, change) {
  const active = /** @type {HTMLElement | null} */ (document.activeElement);
  change();
  if (active && list.contains(active)) active.focus();
}

/** @param {string} id */
function queueRow(id) {
  const act = (/** @type {string} */ name, /** @type {string} */ label, /** @type {() => Promise<void>} */ run) =>
    h("button", { class: "plain small", "aria-label": label, title: label,
      onclick: () => run().catch(notifyError) }, icon(name));
  let place = 0;
  const up = act("up", "Move up", () => move(id, place - 1));
  const down = act("down", "Move down", () => move(id, place + 1));
  const stop = act("close", "Cancel", async () => {
    await cancel(id);
    announce("Cancelled");
  });
  const text = h("span", { class: "queue-text" });
  const state = h("span", { class: "queue-state" });
  const bar = h("span", { class: "thin-bar" }, h("span"));
  const element = h("li", { class: "queue-row" },
    h("div", { class: "queue-words" }, text, state, bar), h("div", { class: "queue-acts" }, up, down, stop));
  return {
    element,
    show: (/** @type {any} */ job, /** @type {number} */ now, /** @type {number} */ waiting) => {
      place = now;
      text.textContent = shorten(job.prompt || "No prompt", 90);
      stop.setAttribute("aria-label", `Cancel “${shorten(job.prompt || "no prompt", 40)}”`);
      const running = job.state === "running";
      element.classList.toggle("running", running);
      up.hidden = down.hidden = running || waiting < 2;
      up.disabled = now <= 0;
      down.disabled = now >= waiting - 1;
      bar.hidden = !running;
      bar.firstElementChild.style.width = `${100 * (job.progress ?? 0)}%`;
      state.textContent = running ? progressText(job) : waitingText(job);
    },
  };
}

/** @param {any} job */
export function progressText(job) {
  if (!job.steps) return job.stage || "begins";
  if (job.step === job.steps) return "decoding";
  const eta = job.eta_seconds >= 0.5 ? `, ${duration(job.eta_seconds)} left` : "";
  return `step ${job.step} of ${job.steps}${eta}`;
}

/** @param {any} job */
function waitingText(job) {
  const place = job.place === null || job.place === undefined ? "waits" : `waits, number ${job.place + 1}`;
  return job.count > 1 ? `${place} (${counted(job.count, "picture")})` : place;
}
