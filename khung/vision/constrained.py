"""Generation that can only write what a JSON schema allows, and always comes to its end.

llguidance computes which tokens may follow. After a soft limit only the shortest way out is left open: close the string, the list,
the object. So every answer fits the schema, even of a model that babbles. The schema itself is in `vlm_schema.py`.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from khung.errors import ModelError

COMPACT = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
"""As the models write JSON by themselves: other spaces would be tokens for nothing."""


class Grammar:
    """A schema over one tokenizer; made once a model (about 10 ms for the schema, a second for a vocabulary of 150 000)."""

    def __init__(self, tokenizer: Any, vocabulary: int, schema: dict[str, Any]) -> None:
        from llguidance import LLExecutor, LLMatcher
        from llguidance.hf import from_tokenizer

        self.tokens = from_tokenizer(tokenizer, n_vocab=vocabulary)
        self.text = LLMatcher.grammar_from_json_schema(schema | {"x-guidance": COMPACT})
        self.executor = LLExecutor()
        wrong, messages = LLMatcher.validate_grammar_with_warnings(self.text, self.tokens)
        if wrong:
            raise ModelError(f"The schema cannot be a grammar: {'; '.join(messages)}.")
        self.quote, self.bracket, self.brace, self.letter = (self.tokens.tokenize_str(c)[0] for c in '"]}a')

    @property
    def eos(self) -> int:
        return self.tokens.eos_token

    def matcher(self) -> Any:
        from llguidance import LLMatcher

        return LLMatcher(self.tokens, self.text)

    def closing(self, allowed: Any) -> int | None:
        """The token that leads out soonest; None where the grammar leaves no way but on. `allowed(token)` → bool.

        A quote closes a string, but opens one where a list may still be empty: there no letter may stand."""
        if allowed(self.quote):
            in_list = allowed(self.bracket) and not allowed(self.letter)
            return self.bracket if in_list else self.quote
        return next((token for token in (self.bracket, self.brace) if allowed(token)), None)


class Guide:
    """A logits processor for one greedy `generate` call. `confidence()` afterwards.

    `soft`: tokens after which an answer is brought to its end.
    """

    def __init__(self, grammar: Grammar, rows: int, soft: int) -> None:
        self._grammar, self._soft = grammar, soft
        self._matchers = [grammar.matcher() for _ in range(rows)]
        self._written = -1  # tokens so far; the first call sees the prompt only
        self._masks = np.empty((rows, (grammar.tokens.vocab_size + 31) // 32), np.int32)
        self._sums: Any = None
        self._counts = np.zeros(rows, np.int64)

    def __call__(self, ids: Any, scores: Any) -> Any:
        import torch

        self._written += 1
        if self._written:
            self._consume(ids[:, -1].tolist())
        self._fill()
        masks = torch.from_numpy(self._masks).to(scores.device)
        bits = (masks[:, :, None] >> torch.arange(32, device=scores.device, dtype=torch.int32)) & 1
        open_ = bits.flatten(1)[:, : scores.shape[1]].bool()
        scores = scores.float().masked_fill(~open_, -torch.inf)
        self._note(scores)
        return scores

    def confidence(self) -> list[float | None]:
        """The geometric mean of the chosen tokens' probabilities, over the places where the grammar left a choice;
        None where there was none."""
        sums = self._sums.tolist() if self._sums is not None else [0.0] * len(self._counts)
        pairs = zip(sums, self._counts.tolist(), strict=True)
        return [float(np.exp(total / count)) if count else None for total, count in pairs]

    def finite(self) -> bool:
        """Whether all scores were numbers: with others the choice means nothing."""
        import torch

        return self._sums is None or bool(torch.isfinite(self._sums).all())

    def _consume(self, last: Sequence[int]) -> None:
        for matcher, token in zip(self._matchers, last, strict=True):
            if not matcher.is_stopped() and not matcher.consume_token(token):
                raise ModelError(f"The grammar refused a token that it had offered: {matcher.get_error()}")

    def _fill(self) -> None:
        from llguidance.numpy import fill_next_token_bitmask_par

        running = [(matcher, row) for row, matcher in enumerate(self._matchers) if not matcher.is_stopped()]
        if running:
            fill_next_token_bitmask_par(self._grammar.executor, running, self._masks)
        for row, matcher in enumerate(self._matchers):
            if matcher.is_stopped():
                self._only(row, self._grammar.eos)
        if self._written >= self._soft:
            for _, row in running:
                self._close(row)

    def _close(self, row: int) -> None:
        mask = self._masks[row]
        token = self._grammar.closing(lambda token: bool(mask[token >> 5] >> (token & 31) & 1))
        if token is not None:
            self._only(row, token)

    def _only(self, row: int, token: int) -> None:
        self._masks[row] = 0
        self._masks.view(np.uint32)[row, token >> 5] = 1 << (token & 31)

    def _note(self, scores: Any) -> None:
        """Sum up the log-probability of the token that greedy choice takes, on the device: nothing waits for it."""
        import torch

        choice = np.bitwise_count(self._masks.view(np.uint32)).sum(1) > 1
        self._counts += choice
        best = torch.log_softmax(scores, -1).amax(-1) * torch.from_numpy(choice).to(scores.device)
        self._sums = best if self._sums is None else self._sums + best
