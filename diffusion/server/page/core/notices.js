// Short messages that go by themselves, and what screen readers are told.

import { byId, h } from "/page/core/dom.js";
import { icon } from "/page/core/icons.js";

const SHOWN_MS = 7000;
const BETWEEN_MS = 5000;

/**
 * Show a message for some seconds. An action adds a button.
 * @param {string} text
 * @param {{kind?: "info" | "error", action?: string, onaction?: () => void}} [options]
 */
export function notify(text, { kind = "info", action, onaction } = {}) {
  const close = () => notice.remove();
  const notice = h(
    "div",
    { class: `notice ${kind}`, role: kind === "error" ? "alert" : "status" },
    h("span", {}, text),
    action && h("button", { class: "link", onclick: () => (close(), onaction?.()) }, action),
    h("button", { class: "plain small", "aria-label": "Close this message", onclick: close }, icon("close")),
  );
  byId("notices").append(notice);
  setTimeout(() => {
    if (!notice.matches(":focus-within, :hover")) close();
    else notice.addEventListener("pointerleave", close);
  }, kind === "error" ? 2 * SHOWN_MS : SHOWN_MS);
}

/** Show an error of any kind as a message. @param {unknown} error */
export function notifyError(error) {
  const text = error instanceof Error ? error.message : String(error);
  if (/** @type {any} */ (error)?.status === 401) return;
  notify(text, { kind: "error" });
}

let last = 0;
/** @type {string | null} */
let next = null;

/** Tell screen readers something, at most once in five seconds; the newest counts. @param {string} text */
export function announce(text) {
  const wait = last + BETWEEN_MS - Date.now();
  if (wait <= 0) {
    last = Date.now();
    byId("announcer").textContent = text;
    return;
  }
  if (next === null) {
    setTimeout(() => {
      const waiting = next ?? "";
      next = null;
      announce(waiting);
    }, wait);
  }
  next = text;
}
