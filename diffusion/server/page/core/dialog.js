// Dialogs on top of the page: one title, one body, closed by Escape, its button or its backdrop.

import { fill, h, newId } from "/page/core/dom.js";
import { icon } from "/page/core/icons.js";

/**
 * Open a dialog; its promise ends when it closes.
 * @param {string} title
 * @param {(close: () => void) => import("/page/core/dom.js").Child} build makes the body
 * @param {{kind?: string, onkeydown?: (event: KeyboardEvent) => void}} [options]
 * @returns {Promise<void>}
 */
export function openDialog(title, build, { kind = "", onkeydown } = {}) {
  const id = newId("dialog");
  const dialog = h("dialog", { class: `dialog ${kind}`, "aria-labelledby": id, onkeydown });
  const close = () => dialog.close();
  fill(
    dialog,
    h(
      "div",
      { class: "dialog-head" },
      h("h2", { id }, title),
      h("button", { class: "plain", "aria-label": "Close", onclick: close }, icon("close")),
    ),
    h("div", { class: "dialog-body" }, build(close)),
  );
  dialog.addEventListener("click", (/** @type {MouseEvent} */ event) => {
    if (event.target === dialog) close();
  });
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve();
    });
  });
}

/**
 * Ask before something that cannot be undone.
 * @param {string} title @param {string} text @param {string} action
 * @returns {Promise<boolean>}
 */
export async function confirmAction(title, text, action) {
  let agreed = false;
  await openDialog(title, (close) => [
    h("p", {}, text),
    h(
      "div",
      { class: "buttons end" },
      h("button", { onclick: close, autofocus: true }, "Cancel"),
      h("button", { class: "danger", onclick: () => ((agreed = true), close()) }, action),
    ),
  ], { kind: "narrow" });
  return agreed;
}
