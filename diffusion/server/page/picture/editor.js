// The canvas of inpainting: the picture with the mask over it; brush, eraser, zoom, also by keys.

import { announce } from "/page/core/notices.js";
import { fill, h, newId } from "/page/core/dom.js";
import { icon } from "/page/core/icons.js";
import { context, newCanvas } from "/page/picture/canvas.js";
import { source, sourceChanged } from "/page/picture/source.js";

const ZOOM_STEP = 1.25;
const MOST_ZOOM = 32;
const TINT = "#e83fd0";

/** @typedef {{x: number, y: number}} Point */

class Editor {
  constructor() {
    this.canvas = h("canvas", {
      class: "editor-canvas", tabindex: "0", role: "application", "aria-roledescription": "mask painter",
      "aria-label": "Mask: arrow keys move the brush, Space puts it down or lifts it, X changes brush and eraser, brackets change the size, Ctrl+Z undoes",
    });
    this.tint = newCanvas(1, 1);
    this.size = 48;
    this.erase = false;
    this.view = { scale: 1, x: 0, y: 0 };
    this.fitted = true;
    /** The brush, in pixels of the picture; null before a key or a pointer moved it. @type {Point | null} */
    this.brush = null;
    this.penDown = false;
    /** @type {Map<number, Point>} */
    this.pointers = new Map();
    this.painting = false;
    this.frame = 0;
    this.stopListening = () => {};
    new ResizeObserver(() => this.resize()).observe(this.canvas);
    sourceChanged.on(() => this.load());
    this.listen();
    this.load();
  }

  load() {
    this.stopListening();
    this.brush = null;
    this.penDown = false;
    if (source.mask) this.stopListening = source.mask.changed.on(() => this.paintTint());
    if (source.image) Object.assign(this.tint, { width: source.image.width, height: source.image.height });
    this.fitted = true;
    this.resize();
    this.paintTint();
  }

  resize() {
    const ratio = devicePixelRatio || 1;
    const box = this.canvas.getBoundingClientRect();
    Object.assign(this.canvas, { width: Math.round(box.width * ratio), height: Math.round(box.height * ratio) });
    if (this.fitted) this.fit();
    this.show();
  }

  /** Show the whole picture. */
  fit() {
    const { image } = source;
    if (!image || !this.canvas.width) return;
    const margin = 16 * (devicePixelRatio || 1);
    const scale = Math.min((this.canvas.width - margin) / image.width, (this.canvas.height - margin) / image.height);
    this.view = { scale, x: (this.canvas.width - image.width * scale) / 2, y: (this.canvas.height - image.height * scale) / 2 };
    this.fitted = true;
    this.show();
  }

  /** Zoom about a place of the canvas. @param {number} factor @param {Point} [about] */
  zoom(factor, about = { x: this.canvas.width / 2, y: this.canvas.height / 2 }) {
    const scale = Math.min(MOST_ZOOM, Math.max(0.05, this.view.scale * factor));
    const share = scale / this.view.scale;
    this.view = { scale, x: about.x - (about.x - this.view.x) * share, y: about.y - (about.y - this.view.y) * share };
    this.fitted = false;
    this.show();
  }

  paintTint() {
    if (!source.mask) return this.show();
    const drawing = context(this.tint);
    drawing.globalCompositeOperation = "copy";
    drawing.drawImage(source.mask.canvas, 0, 0);
    drawing.globalCompositeOperation = "source-in";
    drawing.fillStyle = TINT;
    drawing.fillRect(0, 0, this.tint.width, this.tint.height);
    this.show();
  }

  show() {
    this.frame ||= requestAnimationFrame(() => {
      this.frame = 0;
      this.paint();
    });
  }

  paint() {
    const { image } = source;
    const drawing = context(this.canvas);
    drawing.setTransform(1, 0, 0, 1, 0, 0);
    drawing.clearRect(0, 0, this.canvas.width, this.canvas.height);
    if (!image) return;
    const { scale, x, y } = this.view;
    drawing.setTransform(scale, 0, 0, scale, x, y);
    drawing.imageSmoothingEnabled = scale < 3;
    drawing.drawImage(image, 0, 0);
    drawing.globalAlpha = 0.6;
    drawing.drawImage(this.tint, 0, 0);
    drawing.globalAlpha = 1;
    if (this.brush) this.paintBrush(drawing, this.brush);
  }

  /** @param {CanvasRenderingContext2D} drawing @param {Point} at */
  paintBrush(drawing, at) {
    for (const [width, colour] of /** @type {[number, string][]} */ ([[3, "#000"], [1.5, this.erase ? "#7fd8ff" : "#fff"]])) {
      drawing.beginPath();
      drawing.arc(at.x, at.y, this.size / 2, 0, 2 * Math.PI);
      drawing.lineWidth = width / this.view.scale;
      drawing.strokeStyle = colour;
      drawing.stroke();
    }
  }

  /** @param {{clientX: number, clientY: number}} event @returns {Point} a place of the canvas */
  place(event) {
    const box = this.canvas.getBoundingClientRect();
    const ratio = this.canvas.width / box.width;
    return { x: (event.clientX - box.left) * ratio, y: (event.clientY - box.top) * ratio };
  }

  /** @param {Point} place @returns {Point} a place of the picture */
  inPicture(place) {
    return { x: (place.x - this.view.x) / this.view.scale, y: (place.y - this.view.y) / this.view.scale };
  }

  listen() {
    const on = (/** @type {string} */ name, /** @type {(event: any) => void} */ act) => this.canvas.addEventListener(name, act);
    on("pointerdown", (event) => this.pointerDown(event));
    on("pointermove", (event) => this.pointerMove(event));
    for (const name of ["pointerup", "pointercancel"]) on(name, (event) => this.pointerUp(event));
    on("pointerleave", () => !this.painting && this.setBrush(null));
    on("contextmenu", (event) => event.preventDefault());
    on("keydown", (event) => this.key(event));
    on("blur", () => (this.penDown = false));
    this.canvas.addEventListener("wheel", (/** @type {WheelEvent} */ event) => {
      event.preventDefault();
      this.zoom(Math.exp(-event.deltaY / 400), this.place(event));
    }, { passive: false });
  }

  /** @param {Point | null} at */
  setBrush(at) {
    this.brush = at;
    this.show();
  }

  /** @param {PointerEvent} event */
  pointerDown(event) {
    const place = this.place(event);
    this.pointers.set(event.pointerId, place);
    this.canvas.setPointerCapture(event.pointerId);
    if (this.pointers.size === 2 && this.painting) {
      source.mask?.undo();
      this.painting = false;
    }
    if (this.pointers.size > 1 || event.button === 1 || !source.mask) return;
    this.painting = true;
    source.mask.begin(this.inPicture(place), this.size, this.erase || event.button === 2);
  }

  /** @param {PointerEvent} event */
  pointerMove(event) {
    const place = this.place(event);
    const before = this.pointers.get(event.pointerId);
    if (this.painting) {
      const points = event.getCoalescedEvents?.() ?? [];
      for (const each of points.length ? points : [event]) source.mask?.extend(this.inPicture(this.place(each)));
    } else if (before) this.moveView(event.pointerId, before, place);
    if (before) this.pointers.set(event.pointerId, place);
    this.setBrush(this.inPicture(place));
  }

  /** Pan with one pointer, zoom and pan with two. @param {number} id @param {Point} before @param {Point} now */
  moveView(id, before, now) {
    const other = [...this.pointers].find(([each]) => each !== id)?.[1];
    if (other) {
      const length = (/** @type {Point} */ a) => Math.hypot(a.x - other.x, a.y - other.y) || 1;
      this.zoom(length(now) / length(before), other);
      return;
    }
    this.view.x += now.x - before.x;
    this.view.y += now.y - before.y;
    this.fitted = false;
    this.show();
  }

  /** @param {PointerEvent} event */
  pointerUp(event) {
    this.pointers.delete(event.pointerId);
    if (!this.pointers.size) this.painting = false;
  }

  /** @param {number} factor */
  resizeBrush(factor) {
    this.size = Math.round(Math.min(512, Math.max(2, this.size * factor + Math.sign(factor - 1))));
    this.onchange();
    this.show();
  }

  /** @param {boolean} erase */
  setEraser(erase) {
    this.erase = erase;
    this.onchange();
    this.show();
  }

  onchange() {}

  /** @param {KeyboardEvent} event */
  key(event) {
    const { mask } = source;
    if (!mask || event.altKey) return;
    const command = event.ctrlKey || event.metaKey;
    const act = command ? this.commandKey(event) : this.plainKey(event);
    if (!act) return;
    event.preventDefault();
    event.stopPropagation();
    act();
  }

  /** @param {KeyboardEvent} event @returns {(() => void) | undefined} */
  commandKey(event) {
    if (event.key.toLowerCase() === "z") return () => (event.shiftKey ? source.mask?.redo() : source.mask?.undo());
    if (event.key.toLowerCase() === "y") return () => source.mask?.redo();
    return undefined;
  }

  /** @param {KeyboardEvent} event @returns {(() => void) | undefined} */
  plainKey(event) {
    const arrows = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const arrow = arrows[/** @type {keyof typeof arrows} */ (event.key)];
    if (arrow) return () => this.step(arrow, event.shiftKey ? 1 : Math.max(2, this.size / 4));
    /** @type {Record<string, () => void>} */
    const acts = {
      " ": () => this.pen(), x: () => this.setEraser(!this.erase),
      "[": () => this.resizeBrush(0.85), "]": () => this.resizeBrush(1.18),
      "+": () => this.zoom(ZOOM_STEP), "=": () => this.zoom(ZOOM_STEP), "-": () => this.zoom(1 / ZOOM_STEP), 0: () => this.fit(),
    };
    return acts[event.key.toLowerCase()];
  }

  /** @param {number[]} direction @param {number} far */
  step([dx, dy], far) {
    const image = /** @type {HTMLCanvasElement} */ (source.image);
    const at = this.brush ?? { x: image.width / 2, y: image.height / 2 };
    const next = {
      x: Math.min(image.width, Math.max(0, at.x + dx * far)), y: Math.min(image.height, Math.max(0, at.y + dy * far)),
    };
    if (this.penDown) source.mask?.extend(next);
    this.setBrush(next);
  }

  /** Put the brush down, or lift it. */
  pen() {
    const image = /** @type {HTMLCanvasElement} */ (source.image);
    this.penDown = !this.penDown;
    this.setBrush(this.brush ?? { x: image.width / 2, y: image.height / 2 });
    if (this.penDown) source.mask?.begin(/** @type {Point} */ (this.brush), this.size, this.erase);
    announce(this.penDown ? "The brush is down" : "The brush is up");
  }
}

/** Return the editor with its tools. */
export function maskEditor() {
  const editor = new Editor();
  const tool = (/** @type {string} */ name, /** @type {string} */ label, /** @type {() => void} */ onclick) =>
    h("button", { class: "plain", type: "button", title: label, "aria-label": label, onclick }, icon(name));
  const brush = tool("brush", "Brush", () => editor.setEraser(false));
  const eraser = tool("eraser", "Eraser (X)", () => editor.setEraser(true));
  const id = newId("size");
  const size = h("input", { id, type: "range", min: 2, max: 256, value: 48, oninput: () => {
    editor.size = Number(size.value);
    editor.show();
  } });
  const undo = tool("undo", "Undo (Ctrl+Z)", () => source.mask?.undo());
  const redo = tool("redo", "Redo (Ctrl+Y)", () => source.mask?.redo());
  editor.onchange = () => {
    brush.setAttribute("aria-pressed", String(!editor.erase));
    eraser.setAttribute("aria-pressed", String(editor.erase));
    size.value = String(editor.size);
    size.style.setProperty("--share", `${(100 * (editor.size - 2)) / 254}%`);
  };
  editor.onchange();
  size.addEventListener("input", editor.onchange);
  const show = () => {
    undo.disabled = !source.mask?.done.length;
    redo.disabled = !source.mask?.undone.length;
  };
  sourceChanged.on(() => (show(), source.mask?.changed.on(show)));
  show();
  const bar = h("div", { class: "editor-bar", role: "toolbar", "aria-label": "Mask" });
  fill(bar, brush, eraser, h("label", { class: "brush-size", for: id }, h("span", {}, "Size"), size),
    h("span", { class: "gap" }), undo, redo,
    tool("invert", "Paint the rest instead", () => source.mask?.apply({ kind: "invert" })),
    tool("trash", "Clear the mask", () => source.mask?.apply({ kind: "none" })),
    h("span", { class: "gap" }),
    tool("zoomout", "Zoom out (-)", () => editor.zoom(1 / ZOOM_STEP)),
    tool("zoomin", "Zoom in (+)", () => editor.zoom(ZOOM_STEP)),
    tool("fit", "Show all (0)", () => editor.fit()));
  return h("div", { class: "editor" }, bar, editor.canvas);
}
