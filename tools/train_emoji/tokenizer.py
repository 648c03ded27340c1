"""A byte-pair tokenizer in CLIP's file format, trained on the captions' own words.

`vocab.json` and `merges.txt` are read by any CLIP tokenizer: 256 byte letters, the same
with `</w>`, one token a merge, then the start and end tokens.
"""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers
from torch import Tensor

from tools.train_emoji.captions import PREFIXES, STYLE_FORMS, SUFFIXES, Concept
from tools.train_emoji.colours import COLOURS

CONTEXT = 77
START, END, WORD_END = "<|startoftext|>", "<|endoftext|>", "</w>"
# CLIP's word pattern (Radford et al. 2021, simple_tokenizer).
_WORDS = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"


def byte_letters() -> list[str]:
    """Return GPT-2's printable letter for each byte, in CLIP's order of tokens."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [b for b in range(256) if b not in printable]
    return [chr(b) for b in printable] + [chr(256 + n) for n in range(len(others))]


def _with_rules(model: models.BPE) -> Tokenizer:
    tokenizer = Tokenizer(model)
    spaces = normalizers.Replace(Regex(r"\s+"), " ")
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFC(), spaces, normalizers.Lowercase()]
    )
    split = pre_tokenizers.Split(Regex(_WORDS), behavior="removed", invert=True)
    letters = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, letters])
    return tokenizer


def _training_text(concepts: Iterable[Concept]) -> list[str]:
    """Return words as often as captions will use them."""
    text: list[str] = []
    for concept in concepts:
        text += [concept.label] * 12 + [*concept.aliases, *concept.names] * 4
        text += [*concept.tags, *concept.nouns]
    forms = [form.replace("{}", "") for style in STYLE_FORMS.values() for form in style]
    fixed = [*PREFIXES, *SUFFIXES, *forms, " ".join(COLOURS), "a an the on background in of"]
    return text + fixed * 200


def train(concepts: Iterable[Concept], vocabulary: int, folder: Path) -> None:
    """Learn the merges and write the tokenizer's four files into `folder`."""
    learner = _with_rules(models.BPE(end_of_word_suffix=WORD_END))
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary + 400,
        min_frequency=1,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        end_of_word_suffix=WORD_END,
        show_progress=False,
    )
    learner.train_from_iterator(_training_text(concepts), trainer)
    found = json.loads(learner.to_str())["model"]["merges"]
    tokens, merges = _in_clip_order([tuple(m) for m in found], vocabulary)
    _write(folder, tokens, merges)


def _in_clip_order(
    found: Sequence[tuple[str, ...]], vocabulary: int
) -> tuple[list[str], list[tuple[str, str]]]:
    """Return tokens in CLIP's order, with the merges whose parts exist; filled up to the size."""
    letters = byte_letters()
    tokens = letters + [letter + WORD_END for letter in letters]
    known = set(tokens)
    merges: list[tuple[str, str]] = []
    for left, right in found:
        if len(tokens) >= vocabulary - 2:
            break
        if left in known and right in known:
            merges.append((left, right))
            if left + right not in known:
                tokens.append(left + right)
                known.add(left + right)
    tokens += [f"<|unused{n}|>" for n in range(len(tokens), vocabulary - 2)]
    return [*tokens, START, END], merges


def _write(folder: Path, tokens: Sequence[str], merges: Sequence[tuple[str, str]]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = {token: number for number, token in enumerate(tokens)}
    special = {"bos_token": START, "eos_token": END, "unk_token": END, "pad_token": END}
    config = {
        "add_prefix_space": False,
        "do_lower_case": True,
        "errors": "replace",
        "model_max_length": CONTEXT,
        "tokenizer_class": "CLIPTokenizer",
        **special,
    }
    lines = ["#version: 0.2", *(" ".join(merge) for merge in merges)]
    files = {
        "vocab.json": json.dumps(vocabulary, ensure_ascii=False),
        "merges.txt": "\n".join(lines) + "\n",
        "special_tokens_map.json": json.dumps(special, indent=2) + "\n",
        "tokenizer_config.json": json.dumps(config, indent=2) + "\n",
    }
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")


class Encoder:
    """Texts to token numbers (n, 77): start, at most 75 tokens, end to the right end."""

    def __init__(self, folder: Path) -> None:
        vocabulary = json.loads((folder / "vocab.json").read_text(encoding="utf-8"))
        lines = (folder / "merges.txt").read_text(encoding="utf-8").split("\n")[1:]
        merges = [(left, right) for left, right in (ln.split(" ") for ln in lines if ln)]
        model = models.BPE(
            vocab=vocabulary, merges=merges, end_of_word_suffix=WORD_END, unk_token=END
        )
        self._tokenizer = _with_rules(model)
        self._start, self._end = vocabulary[START], vocabulary[END]

    def __call__(self, texts: Sequence[str]) -> Tensor:
        """Return token numbers, int64 (n, 77)."""
        ids = torch.full((len(texts), CONTEXT), self._end, dtype=torch.int64)
        encoded = self._tokenizer.encode_batch(list(texts), add_special_tokens=False)
        for row, text in zip(ids, encoded, strict=True):
            known = [self._start, *text.ids[: CONTEXT - 2]]
            row[: len(known)] = torch.tensor(known)
        return ids
