// Outpainting: a larger picture whose new parts continue the edges, and the mask of these.

import { context, newCanvas } from "/page/picture/canvas.js";

const MOST_SIDE = 16384;

/**
 * @param {HTMLCanvasElement} image
 * @param {{left: number, top: number, right: number, bottom: number}} sides pixels to add
 * @param {number} overlap pixels of the picture, along each extended side, that are masked too
 */
export function extendPicture(image, { left, top, right, bottom }, overlap) {
  const { width, height } = image;
  const [wide, high] = [width + left + right, height + top + bottom];
  if (Math.max(wide, high) > MOST_SIDE) throw new Error(`${wide}x${high} is too large.`);
  const larger = newCanvas(wide, high);
  const drawing = context(larger);
  drawing.imageSmoothingEnabled = false;
  // Columns and rows: before, the picture, after; what is outside repeats the outermost pixels.
  const columns = [[0, 1, 0, left], [0, width, left, width], [width - 1, 1, left + width, right]];
  const rows = [[0, 1, 0, top], [0, height, top, height], [height - 1, 1, top + height, bottom]];
  for (const [fromX, fromWidth, x, toWidth] of columns) {
    for (const [fromY, fromHeight, y, toHeight] of rows) {
      if (toWidth && toHeight) {
        drawing.drawImage(image, fromX, fromY, fromWidth, fromHeight, x, y, toWidth, toHeight);
      }
    }
  }
  return { image: larger, mask: newParts(larger, image, { left, top, right, bottom }, overlap) };
}

/**
 * @param {HTMLCanvasElement} larger @param {HTMLCanvasElement} image
 * @param {{left: number, top: number, right: number, bottom: number}} sides
 * @param {number} overlap
 */
function newParts(larger, image, sides, overlap) {
  const within = Math.min(overlap, Math.floor(Math.min(image.width, image.height) / 2));
  const inner = (/** @type {number} */ added) => (added ? added + within : 0);
  const mask = newCanvas(larger.width, larger.height);
  const drawing = context(mask);
  drawing.fillStyle = "#fff";
  drawing.fillRect(0, 0, mask.width, mask.height);
  const [x, y] = [inner(sides.left), inner(sides.top)];
  const width = mask.width - x - inner(sides.right);
  const height = mask.height - y - inner(sides.bottom);
  drawing.clearRect(x, y, width, height);
  return mask;
}
