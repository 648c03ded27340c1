// The start of the page: views, theme, connection, keys.

import { connection } from "/page/core/api.js";
import { byId, fill, h } from "/page/core/dom.js";
import { icon } from "/page/core/icons.js";
import { announce, notify, notifyError } from "/page/core/notices.js";
import { createView } from "/page/create.js";
import { galleryView } from "/page/gallery/gallery.js";
import { listenForFiles } from "/page/gallery/restore.js";
import { startJobs } from "/page/jobs/jobs.js";
import { listenForKeys } from "/page/keys.js";
import { signOut, signedIn, startSession } from "/page/session.js";
import { loadChoices } from "/page/settings/choices.js";
import { loadStyles } from "/page/settings/styles.js";
import { MODES } from "/page/settings/panel.js";
import { set } from "/page/settings/values.js";
import { tableView } from "/page/table/table.js";

const THEMES = ["auto", "light", "dark"];
/** @type {Record<string, string>} */
const THEME_ICONS = { auto: "auto", light: "sun", dark: "moon" };

const create = createView();
/** @type {Record<string, {label: string, icon: string, element: HTMLElement, show: () => void}>} */
const views = {
  create: { label: "Create", icon: "create", ...create },
  gallery: { label: "Gallery", icon: "gallery", ...galleryView() },
  table: { label: "Table", icon: "table", ...tableView() },
};

function showView() {
  const asked = location.hash.slice(1);
  const name = asked in views ? asked : "create";
  const main = byId("main");
  if (main.firstElementChild !== views[name].element) fill(main, views[name].element);
  for (const link of byId("views").querySelectorAll("a")) {
    if (link.hash === `#${name}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = name === "create" ? "Avila" : `${views[name].label} – Avila`;
  views[name].show();
}

function buildHead() {
  fill(byId("views"), Object.entries(views).map(([name, view]) =>
    h("a", { href: `#${name}` }, icon(view.icon), h("span", {}, view.label))));
  const theme = h("button", { class: "plain", onclick: () => {
    const next = THEMES[(THEMES.indexOf(document.documentElement.dataset.theme ?? "auto") + 1) % THEMES.length];
    document.documentElement.dataset.theme = next;
    localStorage.setItem("avila-theme", next);
    showTheme();
    announce(`Theme: ${next}`);
  } });
  const showTheme = () => {
    const now = document.documentElement.dataset.theme ?? "auto";
    theme.title = `Theme: ${now}`;
    theme.setAttribute("aria-label", `Theme: ${now}`);
    fill(theme, icon(THEME_ICONS[now]));
  };
  showTheme();
  const leave = h("button", { class: "plain", hidden: true, onclick: () => signOut().catch(notifyError) }, icon("user"));
  signedIn.on(({ user, users }) => {
    leave.hidden = !users;
    leave.title = `${user}: sign out`;
    leave.setAttribute("aria-label", leave.title);
  });
  const keys = h("button", { class: "plain wide-only", title: "Keys (?)", "aria-label": "Keys", onclick: () => showKeys() }, icon("keys"));
  fill(byId("tools"), keys, theme, leave);
}

function watchConnection() {
  const line = byId("connection");
  connection.on((online) => {
    line.hidden = online;
    fill(line, !online && [h("span", { class: "spinner" }), "The server does not answer. Your jobs are kept; this goes on once it is back."]);
    if (online) notify("The server is back.");
    else announce("The server does not answer");
  });
}

async function begin() {
  try {
    await Promise.all([loadChoices(), loadStyles()]);
    await startJobs();
    create.resume();
    showView();
  } catch (error) {
    if (/** @type {any} */ (error).status !== 0) notifyError(error);
    else setTimeout(begin, 1500);
  }
}

const go = (/** @type {string} */ view) => () => (location.hash = view);
const showKeys = listenForKeys([
  { keys: "Ctrl + Enter", text: "Generate", run: () => (go("create")(), create.draw()) },
  { keys: "Ctrl + Shift + Enter", text: "Generate before what waits", run: () => (go("create")(), create.drawFirst()) },
  { keys: "Ctrl + Alt + Enter", text: "Cancel what is drawn", run: create.cancel },
  { keys: "C", text: "Create", run: go("create") },
  { keys: "G", text: "Gallery", run: go("gallery") },
  { keys: "T", text: "Table", run: go("table") },
  ...MODES.map((mode, i) => ({ keys: String(i + 1), text: mode.title, run: () => set("mode", mode.name) })),
]);

buildHead();
watchConnection();
listenForFiles();
addEventListener("hashchange", showView);
showView();
signedIn.on(begin);
startSession().then(undefined, notifyError);
