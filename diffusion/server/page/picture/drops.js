// Pictures that are dropped or pasted on one box are for this box, and not for the page.

/**
 * @param {HTMLElement} box
 * @param {(file: Blob) => void} take
 */
export function takeDrops(box, take) {
  const drop = (/** @type {DragEvent | ClipboardEvent} */ event) => {
    const data = event instanceof DragEvent ? event.dataTransfer : event.clipboardData;
    const given = [...(data?.files ?? [])].filter((each) => each.type.startsWith("image/"));
    if (!given.length) return;
    event.preventDefault();
    event.stopPropagation();
    document.documentElement.classList.remove("dropping");
    given.forEach(take);
  };
  box.addEventListener("drop", drop);
  box.addEventListener("paste", drop);
}
