// Who uses the page. Where the server has users, it asks for a token once in a while.

import { call, signedOut } from "/page/core/api.js";
import { openDialog } from "/page/core/dialog.js";
import { h, newId } from "/page/core/dom.js";
import { Signal } from "/page/core/signal.js";

/** Sends the session once somebody is signed in. @type {Signal<any>} */
export const signedIn = new Signal();

let asking = false;
/** @type {any} */
let current = {};

signedIn.on((found) => (current = found));

/** Return who uses the page: `user`, `admin`, and whether the server has `users`. @returns {any} */
export function session() {
  return current;
}

/** Find out who uses the page; ask for a token where that is needed. */
export async function startSession() {
  signedOut.on(askForToken);
  try {
    signedIn.send(await call("GET", "/api/v1/session"));
  } catch {
    // Without a session `askForToken` was called; without a server the page tries on.
  }
}

async function askForToken() {
  if (asking) return;
  asking = true;
  let found = null;
  while (!found) {
    await openDialog("Sign in", (close) => signInForm((signed) => ((found = signed), close())), { kind: "narrow" });
  }
  asking = false;
  signedIn.send(found);
}

/** @param {(session: any) => void} done */
function signInForm(done) {
  const id = newId("token");
  const input = h("input", { id, type: "password", autocomplete: "current-password", required: true, autofocus: true });
  const problem = h("div", { class: "problem", role: "alert", hidden: true });
  const send = async (/** @type {Event} */ event) => {
    event.preventDefault();
    try {
      done(await call("POST", "/api/v1/session", undefined, { authorization: `Bearer ${input.value.trim()}` }));
    } catch (error) {
      problem.hidden = false;
      const { status, message } = /** @type {any} */ (error);
      problem.textContent = status === 401 ? "This is not a token of this server." : message;
      input.setAttribute("aria-invalid", "true");
    }
  };
  return h("form", { class: "sign-in", onsubmit: send },
    h("p", {}, "This server has users. Give the token from its users’ file; what you typed on the page stays."),
    h("div", { class: "field" }, h("label", { for: id }, "Token"), input), problem,
    h("div", { class: "buttons end" }, h("button", { class: "primary", type: "submit" }, "Sign in")));
}

/** Forget who uses the page. */
export async function signOut() {
  await call("DELETE", "/api/v1/session");
  signedOut.send();
}
