// A grid that makes elements for the pictures in sight alone, so that thousands scroll smoothly.

import { h } from "/page/core/dom.js";
import { icon } from "/page/core/icons.js";
import { shorten } from "/page/core/words.js";

const LEAST_CELL = 176;
const LEAST_CELL_NARROW = 100;
const GAP = 10;
const ROWS_BEYOND = 3;

/** @typedef {import("/page/gallery/pictures.js").PictureList} PictureList */

export class PictureGrid {
  /** @param {{onopen: (place: number) => void, onchoose: (picture: any, chosen: boolean) => void}} options */
  constructor({ onopen, onchoose }) {
    this.onopen = onopen;
    this.onchoose = onchoose;
    this.list = h("ul", { class: "cells", "aria-label": "Pictures" });
    this.element = h("div", { class: "grid-scroll", onscroll: () => this.update(), onkeydown: (/** @type {any} */ event) => this.key(event) }, this.list);
    /** @type {PictureList | null} */
    this.pictures = null;
    /** @type {Map<number, HTMLElement>} */
    this.cells = new Map();
    /** @type {Set<string>} */
    this.chosen = new Set();
    this.columns = 1;
    this.cell = LEAST_CELL;
    new ResizeObserver(() => this.measure()).observe(this.element);
  }

  /** @param {PictureList} pictures */
  show(pictures) {
    this.pictures = pictures;
    for (const cell of this.cells.values()) cell.remove();
    this.cells.clear();
    this.element.scrollTop = 0;
    this.measure();
  }

  measure() {
    const width = this.list.clientWidth;
    if (!width) return;
    const least = width < 560 ? LEAST_CELL_NARROW : LEAST_CELL;
    this.columns = Math.max(1, Math.floor((width + GAP) / (least + GAP)));
    this.cell = (width - GAP * (this.columns - 1)) / this.columns;
    const rows = Math.ceil((this.pictures?.total ?? 0) / this.columns);
    this.list.style.height = `${Math.max(0, rows * (this.cell + GAP) - GAP)}px`;
    for (const [place, cell] of this.cells) this.put(cell, place);
    this.update();
  }

  /** @param {HTMLElement} cell @param {number} place */
  put(cell, place) {
    const step = this.cell + GAP;
    cell.style.width = cell.style.height = `${this.cell}px`;
    cell.style.transform = `translate(${(place % this.columns) * step}px, ${Math.floor(place / this.columns) * step}px)`;
  }

  /** Make the cells in sight, and drop those far away. */
  update() {
    const { pictures } = this;
    if (!pictures) return;
    const step = this.cell + GAP;
    const top = Math.floor(this.element.scrollTop / step) - ROWS_BEYOND;
    const bottom = Math.ceil((this.element.scrollTop + this.element.clientHeight) / step) + ROWS_BEYOND;
    const first = Math.max(0, top * this.columns);
    const last = Math.min(pictures.total, bottom * this.columns);
    for (const [place, cell] of this.cells) {
      if ((place < first || place >= last) && !cell.contains(document.activeElement)) {
        cell.remove();
        this.cells.delete(place);
      }
    }
    for (let place = first; place < last; place += 1) if (!this.cells.has(place)) this.add(place);
  }

  /** @param {number} place */
  add(place) {
    const pictures = /** @type {PictureList} */ (this.pictures);
    const cell = h("li", { class: "cell", "aria-setsize": pictures.total, "aria-posinset": place + 1 });
    this.cells.set(place, cell);
    this.put(cell, place);
    const next = [...this.cells.keys()].filter((each) => each > place).sort((a, b) => a - b)[0];
    this.list.insertBefore(cell, next === undefined ? null : (this.cells.get(next) ?? null));
    const known = pictures.known.get(place);
    if (known) this.fillCell(cell, place, known);
    else pictures.at(place).then((picture) => picture && cell.isConnected && this.fillCell(cell, place, picture)).catch(() => {});
  }

  /** @param {HTMLElement} cell @param {number} place @param {any} picture */
  fillCell(cell, place, picture) {
    const words = shorten(picture.prompt || "no prompt", 120);
    const box = h("input", { type: "checkbox", "aria-label": `Choose “${shorten(words, 40)}”`, checked: this.chosen.has(picture.id),
      onchange: () => {
        if (box.checked) this.chosen.add(picture.id);
        else this.chosen.delete(picture.id);
        this.onchoose(picture, box.checked);
      } });
    cell.replaceChildren(
      h("button", { class: "cell-open", title: words, "aria-label": `Open “${words}”`, data: { place }, onclick: () => this.onopen(place) },
        h("img", { src: `${picture.thumbnail}?size=320`, alt: "", draggable: "false", decoding: "async" })),
      h("label", { class: "cell-choose" }, box, h("span", { class: "tick" }, icon("check"))),
    );
  }

  /** Arrow keys go from picture to picture. @param {KeyboardEvent} event */
  key(event) {
    const at = Number(/** @type {HTMLElement} */ (event.target).dataset.place ?? NaN);
    if (Number.isNaN(at) || !this.pictures) return;
    const last = this.pictures.total - 1;
    const page = this.columns * Math.max(1, Math.floor(this.element.clientHeight / (this.cell + GAP)));
    /** @type {Record<string, number>} */
    const targets = {
      ArrowLeft: at - 1, ArrowRight: at + 1, ArrowUp: at - this.columns, ArrowDown: at + this.columns,
      Home: 0, End: last, PageUp: Math.max(0, at - page), PageDown: Math.min(last, at + page),
    };
    const next = targets[event.key];
    if (next === undefined || next < 0 || next > last) return;
    event.preventDefault();
    this.focus(next);
  }

  /** @param {number} place */
  focus(place) {
    const step = this.cell + GAP;
    const top = Math.floor(place / this.columns) * step;
    const { scrollTop, clientHeight } = this.element;
    if (top < scrollTop) this.element.scrollTop = top;
    else if (top + this.cell > scrollTop + clientHeight) this.element.scrollTop = top + this.cell - clientHeight;
    this.update();
    const button = () => /** @type {HTMLElement | null} */ (this.cells.get(place)?.querySelector(".cell-open") ?? null);
    if (button()) button()?.focus();
    else this.pictures?.at(place).then(() => button()?.focus());
  }
}
