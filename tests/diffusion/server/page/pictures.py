"""Pictures for the page, and ways to give them to it."""

from __future__ import annotations

import base64
import io
from typing import Any, Literal

from PIL import Image

from diffusion.infotext.files import png_info

__all__ = ["give_file", "png"]

_GIVE = """
([kind, content, place, type]) => {
  const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
  const data = new DataTransfer();
  data.items.add(new File([bytes], "file", { type }));
  const options = { bubbles: true, cancelable: true };
  document.querySelector(place).dispatchEvent(kind === "paste"
    ? new ClipboardEvent("paste", { ...options, clipboardData: data })
    : new DragEvent("drop", { ...options, dataTransfer: data }));
}
"""


def png(size: tuple[int, int] = (64, 48), text: str | None = None) -> bytes:
    """Return a blue picture as a PNG file, with an infotext unless None."""
    file = io.BytesIO()
    info = None if text is None else png_info(text)
    Image.new("RGB", size, (0, 0, 255)).save(file, "PNG", pnginfo=info)
    return file.getvalue()


def give_file(
    page: Any,
    content: bytes,
    kind: Literal["paste", "drop"],
    place: str = "body",
    media: str = "image/png",
) -> None:
    """Paste or drop a file on the page, or on what a selector finds."""
    page.evaluate(_GIVE, [kind, base64.b64encode(content).decode(), place, media])
