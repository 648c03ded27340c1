"""The routes of OpenAI's images interface, ``/v1``.

Law: fields, answers, events and error codes are those that the ``openai`` package knows. A field
that these models cannot follow is refused, never ignored.
"""

__all__: list[str] = []
