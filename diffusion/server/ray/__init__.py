"""The server and batches on a Ray cluster. It needs the extra ``ray``.

Law: nothing else imports Ray. What draws is what draws on one machine: worker processes that a
replica or an actor starts on the GPU that Ray gave it.
"""

__all__: list[str] = []
