// Icons as paths on a grid of 24; they are drawn with lines in the colour of the text.

/** @type {Record<string, string>} */
const PATHS = {
  create: "M4 20l1-4L16 5l3 3L8 19zM14 7l3 3M5 4v4M3 6h4M19 15v4M17 17h4",
  gallery: "M4 4h7v7H4zM13 4h7v7h-7zM4 13h7v7H4zM13 13h7v7h-7z",
  table: "M4 4h16v16H4zM4 9.3h16M4 14.6h16M9.3 4v16M14.6 4v16",
  keys: "M3 6h18v12H3zM6 10h1M10 10h1M14 10h1M18 10h.5M8 14h8",
  sun: "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8M12 2v2M12 20v2M2 12h2M20 12h2M5 5l1.4 1.4M17.6 17.6 19 19M5 19l1.4-1.4M17.6 6.4 19 5",
  moon: "M20 14.5A8.5 8.5 0 0 1 9.5 4 8.5 8.5 0 1 0 20 14.5z",
  auto: "M12 3a9 9 0 1 0 0 18zM12 3a9 9 0 0 1 0 18",
  close: "M6 6l12 12M18 6 6 18",
  stop: "M6 6h12v12H6z",
  up: "M12 19V5M6 11l6-6 6 6",
  down: "M12 5v14M6 13l6 6 6-6",
  left: "M15 5l-7 7 7 7",
  right: "M9 5l7 7-7 7",
  chevron: "M6 9l6 6 6-6",
  dice: "M5 5h14v14H5zM9 9h.01M15 15h.01M15 9h.01M9 15h.01M12 12h.01",
  recycle: "M4 12a8 8 0 0 1 14-5l2 2M20 4v5h-5M20 12a8 8 0 0 1-14 5l-2-2M4 20v-5h5",
  download: "M12 4v11M7 11l5 5 5-5M4 20h16",
  trash: "M4 7h16M9 7V4h6v3M6 7l1 13h10l1-13M10 11v5M14 11v5",
  image: "M4 5h16v14H4zM4 16l5-5 4 4 3-3 4 4M15 9h.01",
  brush: "M20 4 11 13M9 13c3 0 3 3 1.5 5S5 21 3 20c2-1 1.500-3 2-5s2-2 4-2",
  eraser: "M8 20 3 15 14 4l6 6L10 20zM8.500 9.500l6 6M8 20h12",
  undo: "M8 5 4 9l4 4M4 9h10a6 6 0 0 1 0 12h-3",
  redo: "M16 5l4 4-4 4M20 9H10a6 6 0 0 0 0 12h3",
  zoomin: "M10.500 4a6.500 6.500 0 1 0 0 13 6.500 6.500 0 0 0 0-13M15.500 15.500 21 21M10.500 7.500v6M7.500 10.500h6",
  zoomout: "M10.500 4a6.500 6.500 0 1 0 0 13 6.500 6.500 0 0 0 0-13M15.500 15.500 21 21M7.500 10.500h6",
  fit: "M4 9V4h5M20 9V4h-5M4 15v5h5M20 15v5h-5",
  invert: "M4 4h16v16H4zM4 20 20 4v16z",
  expand: "M9 9h6v6H9zM12 3v3M12 18v3M3 12h3M18 12h3",
  compare: "M12 3v18M4 6h8v12H4M15 6h5v12h-5",
  restore: "M4 5v5h5M4.500 10a8 8 0 1 1-.5 4M12 8v4l3 2",
  upscale: "M4 14v6h6M20 10V4h-6M4 20l7-7M20 4l-7 7",
  variation: "M8 4h12v12M4 8h12v12H4z",
  search: "M10.500 4a6.500 6.500 0 1 0 0 13 6.500 6.500 0 0 0 0-13M15.500 15.500 21 21",
  check: "M5 13l4 4L19 7",
  user: "M12 4a4 4 0 1 0 0 8 4 4 0 0 0 0-8M4 21c0-4 4-6 8-6s8 2 8 6",
  queue: "M4 6h16M4 12h16M4 18h10",
  blocks: "M4 13h7v7H4zM13 13h7v7h-7zM8.500 4h7v7h-7z",
  control: "M4 20V9l8-5 8 5v11M4 9l8 5 8-5M12 14v7",
  edit: "M4 20l1-4L16 5l3 3L8 19zM14 7l3 3",
  model: "M12 3l8 4.500v9L12 21l-8-4.500v-9zM4 7.500l8 4.500 8-4.500M12 12v9",
  palette: "M12 3a9 9 0 1 0 0 18c2 0 1-2.500 1.500-3.500S16 16.500 18 16.500s3-2 3-4.500c0-5-4-9-9-9M8 11h.01M11 7.500h.01M15.500 8.500h.01",
  spark: "M12 3l2 6 6 3-6 3-2 6-2-6-6-3 6-3z",
};

/** Return an icon, which screen readers pass over. @param {string} name */
export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", PATHS[name]);
  svg.append(path);
  return svg;
}
