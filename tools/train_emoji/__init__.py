"""Scripts that build the emoji data set and train the bundled model `models/emoji` on it.

Law: the only place where PyTorch, diffusers and transformers are used; nothing that runs
for a user imports it. Built data and checkpoints stay out of version control.
"""

__all__: list[str] = []
