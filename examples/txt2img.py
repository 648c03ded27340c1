"""Draw a picture from a prompt, step by step, with progress and a preview.

python examples/txt2img.py ["a red apple"] [apple.png] [steps] [side in pixels]
"""

import sys
from pathlib import Path

from diffusion import Pipeline, Result, Settings, Stage, Step


def main(
    prompt: str = "a red apple", file: str = "apple.png", steps: str = "8", side: str = "256"
) -> None:
    """Draw ``prompt`` into ``file``, with a preview half-way."""
    pipeline = Pipeline.load()  # the bundled model on the best device; or load("path/to/folder")
    pixels = int(side)
    settings = Settings(prompt, width=pixels, height=pixels, steps=int(steps), seed=1)
    target = Path(file)

    for event in pipeline.generate(settings):
        match event:
            case Stage(name=name):
                print(f"{name} ...")
            case Step(index=index, total=total, sigma=sigma):
                print(f"step {index} of {total}, noise level {sigma:.2f}")
                if index == total // 2:
                    event.preview()[0].save(target.with_stem(f"{target.stem}-preview"))
            case Result(images=images, seeds=seeds):
                images[0].save(target)
                print(f"{target}: seed {seeds[0]} on {pipeline.device.name}")


if __name__ == "__main__":
    main(*sys.argv[1:])
