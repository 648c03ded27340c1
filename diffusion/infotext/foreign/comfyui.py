"""ComfyUI: a graph of nodes in JSON, followed from the picture back to the first sampler.

The key ``prompt`` holds ``{id: {"class_type": …, "inputs": {name: value or [id, output]}}}``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from diffusion.infotext.foreign.record import Json, Record, as_number, as_text

__all__ = ["read_comfyui"]

MOST_NODES: Final = 2000
SAMPLERS: Final = ("KSampler", "KSamplerAdvanced", "SamplerCustom", "SamplerCustomAdvanced")
OUTPUTS: Final = ("SaveImage", "PreviewImage")
TEXTS: Final = ("text", "text_g", "text_l", "value", "string", "prompt")
LORAS: Final = ("LoraLoader", "LoraLoaderModelOnly")
SCHEDULERS: Final = {
    "KarrasScheduler": "karras",
    "ExponentialScheduler": "exponential",
    "AlignYourStepsScheduler": "align_your_steps_10",
    "SDTurboScheduler": "normal",
    "BetaSamplingScheduler": "beta",
}
"""Nodes that are one schedule. BasicScheduler has a field for it."""


OWN_RULES: Final = {"kl_optimal": "kl_optimal_0"}
"""Schedules whose name means another rule in A1111."""


class Node(NamedTuple):
    """A node of the graph: its class and its inputs."""

    kind: str
    inputs: dict[str, Json]


Graph = dict[str, Node]


def read_comfyui(graph: Json) -> Record | None:
    """Return the settings of the first pass, or None for a graph without a known sampler."""
    nodes = dict(_nodes(graph))
    passes = [node for node in _upstream(nodes, _outputs(nodes)) if node.kind in SAMPLERS]
    if not passes:
        return None
    first = passes[-1]
    found = Record()
    _add_sampling(found, nodes, first)
    guider = _follow(nodes, first.inputs.get("guider")) or first
    positive = guider.inputs.get("positive", guider.inputs.get("conditioning"))
    found.prompt = _text_above(nodes, positive)
    found.negative = _text_above(nodes, guider.inputs.get("negative"))
    found.add("CFG scale", guider.inputs.get("cfg"))
    _add_latent(found, nodes, first)
    _add_model(found, nodes, guider, positive)
    # ComfyUI draws noise on the CPU, and does not keep the mean of weighted embeddings.
    found.settings |= {"RNG": "CPU", "Emphasis": "No norm"}
    if len(passes) > 1:
        found.settings["Passes"] = len(passes)
    return found


def _nodes(graph: Json) -> Iterator[tuple[str, Node]]:
    if not isinstance(graph, dict) or len(graph) > MOST_NODES:
        return
    for name, node in graph.items():
        inputs = node.get("inputs") if isinstance(node, dict) else None
        if isinstance(node, dict) and isinstance(inputs, dict):
            yield name, Node(as_text(node.get("class_type")), inputs)


def _outputs(nodes: Graph) -> list[Node]:
    """Return the nodes that save pictures; all nodes where none is known."""
    return [node for node in nodes.values() if node.kind in OUTPUTS] or list(nodes.values())


def _follow(nodes: Graph, link: Json) -> Node | None:
    """Return the node at the other end of ``[id, output]``, or None for a plain value."""
    if isinstance(link, list) and len(link) == 2 and isinstance(link[0], str | int):
        return nodes.get(str(link[0]))
    return None


def _upstream(
    nodes: Graph, starts: list[Node], take: Callable[[str], bool] = lambda name: True
) -> Iterator[Node]:
    """Yield nodes from ``starts`` backwards, nearest first, each once.

    ``take``: whether an input of this name is followed.
    """
    seen: set[int] = set()
    waiting = starts
    while waiting:
        further: list[Node] = []
        for node in waiting:
            if id(node) in seen:
                continue
            seen.add(id(node))
            yield node
            links = (value for name, value in node.inputs.items() if take(name))
            further += filter(None, (_follow(nodes, link) for link in links))
        waiting = further


def _above(
    nodes: Graph, link: Json, take: Callable[[str], bool] = lambda name: True
) -> Iterator[Node]:
    """Yield the nodes behind ``link``, nearest first."""
    start = _follow(nodes, link)
    return _upstream(nodes, [start], take) if start else iter(())


def _value(nodes: Graph, node: Node, name: str) -> Json:
    """Return an input's value, also where it comes from a node that holds one value."""
    value = node.inputs.get(name)
    source = _follow(nodes, value)
    if source is None:
        return None if isinstance(value, list | dict) else value
    plain = [each for each in source.inputs.values() if isinstance(each, str | int | float)]
    named = source.inputs.get(name)
    return named if isinstance(named, str | int | float) else next(iter(plain), None)


def _add_sampling(found: Record, nodes: Graph, sampler: Node) -> None:
    """Set the seed, steps, sampler and schedule from a sampler and the nodes that it names."""
    noise = _follow(nodes, sampler.inputs.get("noise")) or sampler
    select = _follow(nodes, sampler.inputs.get("sampler")) or sampler
    sigmas = _follow(nodes, sampler.inputs.get("sigmas")) or sampler
    for name in ("seed", "noise_seed"):
        found.add("Seed", as_number(_value(nodes, noise, name)))
    found.add("Steps", as_number(_value(nodes, sigmas, "steps")))
    found.add("Sampler", _value(nodes, select, "sampler_name"))
    schedule = SCHEDULERS.get(sigmas.kind) or as_text(_value(nodes, sigmas, "scheduler"))
    found.add("Schedule type", OWN_RULES.get(schedule, schedule))
    strength = as_number(_value(nodes, sigmas, "denoise"))
    if strength is not None and strength < 1:
        found.add("Denoising strength", strength)
    for name in ("start_at_step", "end_at_step"):
        step = as_number(_value(nodes, sampler, name))
        if step and (name == "start_at_step" or step < 1000):
            found.add(name, step)


def _text_above(nodes: Graph, link: Json) -> str:
    """Return the text of the nearest node behind ``link`` that has one."""
    for node in _above(nodes, link, lambda name: name not in ("clip", "model", "vae")):
        texts = [as_text(_value(nodes, node, name)) for name in TEXTS if name in node.inputs]
        if any(texts):
            return ", ".join(dict.fromkeys(filter(None, texts)))
    return ""


def _add_latent(found: Record, nodes: Graph, sampler: Node) -> None:
    """Set the size of an empty latent, or name the picture from which the pass starts."""
    for node in _above(nodes, sampler.inputs.get("latent_image")):
        if "Empty" in node.kind and {"width", "height"} <= node.inputs.keys():
            found.add_size(_value(nodes, node, "width"), _value(nodes, node, "height"))
            return
        if node.kind.startswith("VAEEncode"):
            found.settings.setdefault("Denoising strength", 1)
            return


def _add_model(found: Record, nodes: Graph, guider: Node, positive: Json) -> None:
    """Set the model's name, the layers of CLIP that are left out, and LoRAs."""
    loras: list[str] = []
    for node in _above(nodes, guider.inputs.get("model"), lambda name: name == "model"):
        if node.kind in LORAS:
            loras.append(as_text(node.inputs.get("lora_name")))
        for name in ("ckpt_name", "unet_name"):
            found.add("Model", node.inputs.get(name))
    if loras:
        found.add("Lora", ", ".join(loras))
    for node in _above(nodes, positive):
        if node.kind == "CLIPSetLastLayer":
            layer = as_number(node.inputs.get("stop_at_clip_layer"))
            if layer is not None and -100 < layer < -1:
                found.add("Clip skip", -int(layer))
        if node.kind.startswith("ControlNetApply"):
            found.add("ControlNet", "used")
