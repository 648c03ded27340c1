// The newest pictures, beside the stage.

import { call } from "/page/core/api.js";
import { fill, h } from "/page/core/dom.js";
import { icon } from "/page/core/icons.js";
import { galleryChanged } from "/page/gallery/pictures.js";
import { openViewer } from "/page/gallery/viewer.js";
import { jobEnded } from "/page/jobs/jobs.js";
import { newest } from "/page/settings/controls.js";

const SHOWN = 18;

/** Return the panel of the newest pictures. */
export function recentPanel() {
  const list = h("ul", { class: "recent" });
  const none = h("p", { class: "empty-line" }, "Your pictures will be here.");
  /** @type {any[]} */
  let pictures = [];
  const load = async () => {
    try {
      pictures = (await call("GET", `/api/v1/gallery?limit=${SHOWN}`)).pictures;
    } catch {
      return; // the next picture asks again
    }
    newest.seed = pictures[0]?.seed ?? null;
    none.hidden = pictures.length > 0;
    fill(list, pictures.map((each, place) => h("li", {}, h("button", { class: "thumb", "aria-label": each.prompt || "no prompt",
      onclick: () => openViewer(place, { count: () => pictures.length, at: async (i) => pictures[i] }) },
      h("img", { src: `${each.thumbnail}?size=192`, alt: "", loading: "lazy" })))));
  };
  jobEnded.on(load);
  galleryChanged.on(load);
  return {
    load,
    element: h("section", { class: "side-part", "aria-labelledby": "recent-head" },
      h("h2", { id: "recent-head", class: "side-head" }, icon("gallery"), "Newest",
        h("a", { href: "#gallery", class: "more" }, "All")), list, none),
  };
}
