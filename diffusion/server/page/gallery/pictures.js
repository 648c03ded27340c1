// The pictures of the gallery, fetched in pages as somebody looks at them.

import { call, fetchFile } from "/page/core/api.js";
import { Signal } from "/page/core/signal.js";
import { saveFile } from "/page/core/words.js";

const PAGE = 100;
const ZIP_MOST = 1000;

/** Tells that pictures were deleted. @type {Signal<void>} */
export const galleryChanged = new Signal();

/** Pictures of one search by their places. */
export class PictureList {
  /** @param {URLSearchParams} search */
  constructor(search) {
    this.search = search;
    this.total = 0;
    /** @type {Map<number, Promise<any[]>>} */
    this.pages = new Map();
    /** @type {Map<number, any>} */
    this.known = new Map();
  }

  /** Fetch the first page, which tells how many there are. */
  async begin() {
    await this.page(0);
    return this;
  }

  /** @param {number} number @returns {Promise<any[]>} */
  page(number) {
    const asked = this.pages.get(number);
    if (asked) return asked;
    const query = new URLSearchParams(this.search);
    query.set("offset", String(number * PAGE));
    query.set("limit", String(PAGE));
    const page = call("GET", `/api/v1/gallery?${query}`).then((found) => {
      this.total = found.total;
      found.pictures.forEach((/** @type {any} */ each, /** @type {number} */ i) => this.known.set(number * PAGE + i, each));
      return found.pictures;
    });
    page.catch(() => this.pages.delete(number));
    this.pages.set(number, page);
    return page;
  }

  /** @param {number} place @returns {Promise<any>} */
  async at(place) {
    return (await this.page(Math.floor(place / PAGE)))[place % PAGE];
  }

  count() {
    return this.total;
  }
}

/** @param {string[]} ids */
export async function deletePictures(ids) {
  await call("POST", "/api/v1/gallery/delete", { pictures: ids });
  galleryChanged.send();
}

/** @param {string[]} ids */
export async function downloadZip(ids) {
  if (ids.length > ZIP_MOST) throw new Error(`A zip file takes at most ${ZIP_MOST} pictures; choose fewer.`);
  saveFile(await fetchFile("POST", "/api/v1/gallery/zip", { pictures: ids }), "avila.zip");
}

/** Return a picture with its settings. @param {string} id */
export function pictureDetails(id) {
  return call("GET", `/api/v1/gallery/${id}`);
}
