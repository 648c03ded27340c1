"""The routes of AUTOMATIC1111's WebUI, ``/sdapi/v1``: its fields, defaults and answers.

Law: a field or route whose feature is missing is answered with 501 and a sentence, never ignored.
The names are those of AUTOMATIC1111's ``modules/api/models.py``, as clients know them.
"""

__all__: list[str] = []
