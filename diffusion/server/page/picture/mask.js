// A mask as a list of operations, so that any of them can be undone. Painted is white and opaque.

import { Signal } from "/page/core/signal.js";
import { context, newCanvas } from "/page/picture/canvas.js";

/** @typedef {{x: number, y: number}} Point */
/** @typedef {{kind: "stroke", points: Point[], size: number, erase: boolean} | {kind: "all" | "none" | "invert"}} Operation */

const THRESHOLD = 128;

export class Mask {
  /** @param {number} width @param {number} height @param {HTMLCanvasElement | null} painted */
  constructor(width, height, painted) {
    this.canvas = newCanvas(width, height);
    this.first = painted;
    /** @type {Operation[]} */
    this.done = [];
    /** @type {Operation[]} */
    this.undone = [];
    /** @type {Signal<void>} */
    this.changed = new Signal();
    this.redraw();
  }

  redraw() {
    const drawing = context(this.canvas);
    drawing.globalCompositeOperation = "source-over";
    drawing.clearRect(0, 0, this.canvas.width, this.canvas.height);
    if (this.first) drawing.drawImage(this.first, 0, 0);
    for (const operation of this.done) this.draw(operation);
    this.changed.send();
  }

  /** @param {Operation} operation @param {number} [from] points that are drawn already */
  draw(operation, from = 0) {
    const drawing = context(this.canvas);
    const { width, height } = this.canvas;
    drawing.fillStyle = drawing.strokeStyle = "#fff";
    drawing.globalCompositeOperation = "source-over";
    if (operation.kind === "stroke") drawStroke(drawing, operation, from);
    else if (operation.kind === "none") drawing.clearRect(0, 0, width, height);
    else {
      if (operation.kind === "invert") drawing.globalCompositeOperation = "source-out";
      drawing.fillRect(0, 0, width, height);
    }
  }

  /** Do something that can be undone. @param {Operation} operation */
  apply(operation) {
    this.done.push(operation);
    this.undone = [];
    this.draw(operation);
    this.changed.send();
  }

  /** Begin a stroke; `extend` goes on with it. @param {Point} point @param {number} size @param {boolean} erase */
  begin(point, size, erase) {
    this.apply({ kind: "stroke", points: [point], size, erase });
  }

  /** @param {Point} point */
  extend(point) {
    const stroke = this.done.at(-1);
    if (stroke?.kind !== "stroke") return;
    stroke.points.push(point);
    this.draw(stroke, stroke.points.length - 2);
    this.changed.send();
  }

  undo() {
    const operation = this.done.pop();
    if (!operation) return;
    this.undone.push(operation);
    this.redraw();
  }

  redo() {
    const operation = this.undone.pop();
    if (!operation) return;
    this.done.push(operation);
    this.redraw();
  }

  isEmpty() {
    const { data } = context(this.canvas).getImageData(0, 0, this.canvas.width, this.canvas.height);
    for (let i = 3; i < data.length; i += 4) if (data[i] >= THRESHOLD) return false;
    return true;
  }

  /** Return the mask as a picture: white on black. */
  picture() {
    const picture = newCanvas(this.canvas.width, this.canvas.height);
    const drawing = context(picture);
    drawing.fillStyle = "#000";
    drawing.fillRect(0, 0, picture.width, picture.height);
    drawing.drawImage(this.canvas, 0, 0);
    return picture;
  }
}

/** @param {CanvasRenderingContext2D} drawing @param {any} stroke @param {number} from */
function drawStroke(drawing, { points, size, erase }, from) {
  drawing.globalCompositeOperation = erase ? "destination-out" : "source-over";
  drawing.lineWidth = size;
  drawing.lineCap = drawing.lineJoin = "round";
  drawing.beginPath();
  const first = points[Math.max(0, from)];
  drawing.moveTo(first.x, first.y);
  drawing.lineTo(first.x + 0.01, first.y);
  for (const point of points.slice(from + 1)) drawing.lineTo(point.x, point.y);
  drawing.stroke();
}
