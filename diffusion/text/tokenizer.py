"""CLIP's byte-pair tokenizer from a model's own files (Radford et al. 2021, arXiv 2103.00020).

Texts are cleaned first, as in CLIP's training: ``ftfy`` makes curly quotes straight, letters of
full width and ligatures plain, decodes entities of HTML where no "<" stands in the text, and mends
what was decoded wrongly. The WebUI reads prompts so: by transformers' CLIPTokenizer, which up to
release 4 used ftfy where it was installed, and by open_clip's, which needs it. Without it ``it’s``
is another prompt. (open_clip also decodes entities beside a "<", and those within entities.)
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, models, pre_tokenizers

from diffusion.checkpoints.json_files import read_json_object
from diffusion.errors import ModelError, ModelFormatError, quote

__all__ = ["ClipTokenizer"]

_START, _END = "<|startoftext|>", "<|endoftext|>"
_WORD_END = "</w>"
_COMMA = f",{_WORD_END}"
_WORDS = (
    r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|"
    r"[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
)
_AGAIN = "download the tokenizer folder again"
_FLAT_MAP = re.compile(r'\s*+\{(?:\s*+"(?:[^"\\]++|\\.)*+"\s*+:\s*+\d{1,9}\s*+,?+)*+\s*+\}\s*+')
"""A JSON object of numbers: anything deeper could take 24 times its size in memory."""


class ClipTokenizer:
    """A tokenizer from text to token ids: start, at most ``length - 2`` tokens, end, padding.

    ``folder`` holds ``vocab.json`` and ``merges.txt``. ``padding`` names the padding token; else
    ``tokenizer_config.json`` or ``special_tokens_map.json`` may do so, and else it is the end
    token. ``end``: the end token's id. ``highest``: the greatest id. ``comma``: the id of a comma
    that stands alone, None where there is none. Raises `ModelFormatError`.
    """

    def __init__(self, folder: Path, length: int, padding: str | None = None) -> None:
        self.length = length
        vocabulary = _read_vocabulary(folder / "vocab.json")
        self._start = _special_id(vocabulary, _START, folder / "vocab.json")
        self.end = _special_id(vocabulary, _END, folder / "vocab.json")
        self._pad = vocabulary.get(padding or _padding_token(folder), self.end)
        self.highest = max(vocabulary.values())
        self.comma: int | None = vocabulary.get(_COMMA)
        merges = _read_merges(folder / "merges.txt", vocabulary)
        _check_merges(folder / "merges.txt", vocabulary, merges, min(self._start, self.end))
        self._bpe = _build_bpe(vocabulary, merges)
        # As in other tools, the special tokens may be written out in a prompt.
        self._bpe.add_special_tokens([AddedToken(_START), AddedToken(_END)])

    def __call__(self, texts: Sequence[str]) -> list[list[int]]:
        """Return ids of each text, all of the model's length; longer texts are cut."""
        return [self.row(self.tokens(text)) for text in texts]

    @property
    def capacity(self) -> int:
        """The number of tokens between start and end."""
        return self.length - 2

    def shares_tokens(self, other: ClipTokenizer) -> bool:
        """Tell whether both know the same tokens and lengths; their padding may differ."""
        same = self._bpe.get_vocab() == other._bpe.get_vocab()
        return same and self.length == other.length

    def tokens(self, text: str) -> list[int]:
        """Return ids of a whole text without start, end and padding."""
        ids: list[int] = self._bpe.encode(_clean(text), add_special_tokens=False).ids
        return ids

    def row(self, tokens: Sequence[int]) -> list[int]:
        """Return start, the tokens, cut where they are too many, end, and padding."""
        row = [self._start, *tokens[: self.capacity], self.end]
        return row + [self._pad] * (self.length - len(row))


def _clean(text: str) -> str:
    """Return the text as CLIP was trained on: mended, and in lower case."""
    if text.isascii() and text.isprintable() and "&" not in text:
        return text.lower()
    import ftfy  # takes 35 ms to load, and changes no text but these

    return _replace_surrogates(ftfy.fix_text(_replace_surrogates(text)).lower())


def _replace_surrogates(text: str) -> str:
    """Replace lone surrogates, which UTF-8 cannot hold, by replacement characters."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _build_bpe(vocabulary: dict[str, int], merges: list[tuple[str, str]]) -> Tokenizer:
    """Return the byte-pair encoder of CLIP."""
    tokenizer = Tokenizer(
        models.BPE(vocabulary, merges, end_of_word_suffix=_WORD_END, unk_token=_END, fuse_unk=False)
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_WORDS), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    return tokenizer


def _read_vocabulary(path: Path) -> dict[str, int]:
    """Return the numbers of all tokens. Raises `ModelFormatError`."""
    try:
        text = path.read_text(encoding="utf-8")
        found = json.loads(text) if _FLAT_MAP.fullmatch(text) else None
    except (OSError, ValueError, RecursionError) as error:
        raise ModelFormatError(path, "vocabulary", type(error).__name__, _AGAIN) from None
    if not isinstance(found, dict) or not all(
        type(i) is int and 0 <= i < len(found) for i in found.values()
    ):
        raise ModelFormatError(path, "vocabulary", "is not a map of tokens to numbers", _AGAIN)
    if any(token != _replace_surrogates(token) for token in found):
        raise ModelFormatError(path, "vocabulary", "has a token that is no text", _AGAIN)
    return found


def _special_id(vocabulary: dict[str, int], token: str, path: Path) -> int:
    """Return the number of a special token. Raises `ModelFormatError`."""
    if token not in vocabulary:
        raise ModelFormatError(path, "vocabulary", f"lacks {token}", _AGAIN)
    return vocabulary[token]


def _read_merges(path: Path, vocabulary: dict[str, int]) -> list[tuple[str, str]]:
    """Return the pairs of tokens to merge, in order. Raises `ModelFormatError`."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise ModelFormatError(path, "merges", type(error).__name__, _AGAIN) from None
    merges = []
    for number, line in enumerate(lines, 1):
        parts = line.split()
        if not parts or (number == 1 and line.startswith("#version")):
            continue
        if len(parts) != 2 or not {parts[0], parts[1], parts[0] + parts[1]} <= vocabulary.keys():
            raise ModelFormatError(path, f"line {number}", "is not a pair of known tokens", _AGAIN)
        merges.append((parts[0], parts[1]))
    return merges


def _check_merges(
    path: Path, vocabulary: dict[str, int], merges: list[tuple[str, str]], special: int
) -> None:
    """Refuse merges that were cut off: texts would have other tokens than in training.

    ``special``: the first special token's id. In CLIP's vocabularies the tokens below it are bytes
    and merged tokens; tokens that were added later, which no merge makes, are above. Vocabularies
    that begin with their special tokens cannot be checked. Raises `ModelFormatError`.
    """
    merged = {left + right for left, right in merges}
    missing = [
        token
        for token, number in vocabulary.items()
        if number < special and token not in merged and not _needs_no_merge(token)
    ]
    if missing:
        count = f"tokens of vocab.json that no merge makes: {len(missing)}"
        reason = f"{count}, {quote(missing[0])} the first; the file was cut"
        raise ModelFormatError(path, "merges", reason, _AGAIN)


def _needs_no_merge(token: str) -> bool:
    """Tell whether a token is a byte, or special such as ``<pad>``."""
    return len(token.removesuffix(_WORD_END)) <= 1 or (token[0] == "<" and token[-1] == ">")


def _padding_token(folder: Path) -> str:
    """Return the padding token that the folder's small JSON files name, else the end token."""
    for name in ("special_tokens_map.json", "tokenizer_config.json"):
        try:
            found = read_json_object(folder / name).get("pad_token")
        except ModelError:
            continue
        if isinstance(found, dict):
            found = found.get("content")
        if isinstance(found, str):
            return found
    return _END
