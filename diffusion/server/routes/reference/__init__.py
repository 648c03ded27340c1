"""``/docs``: a page that describes every route, made of ``/openapi.json``.

Law: it needs no script, and no other host. All texts of the schema are escaped.
"""

from diffusion.server.routes.reference.route import router

__all__ = ["router"]
