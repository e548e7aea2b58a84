"""The describing language model on tiny random ones: whatever it would babble, the answer fits the schema and ends."""

import json
from pathlib import Path

import numpy as np
import pytest

from khung.errors import ItemTooLarge, ModelError, ModelFileMissing
from khung.vision import vlm, vlm_schema
from khung.vision.batches import BatchLimits
from khung.vision.constrained import Grammar, Guide
from khung.vision.speaking import Said, SpeakingDescriber, SpokenReader
from khung.vision.vlm import VlmSpeaker
from tests.support.tiny_models import checkpoint, picture, tokens

pytestmark = pytest.mark.torch
FAMILIES = ["qwen2vl_with_head", "qwen25vl", "qwen3vl"]


@pytest.fixture(scope="module")
def speakers(tiny) -> dict[str, VlmSpeaker]:
    return {
        name: VlmSpeaker(checkpoint(tiny(name)), most_tokens=64, answer_tokens=60, limits=BatchLimits(start=10_000))
        for name in FAMILIES
    }


@pytest.fixture(scope="module")
def images() -> list[np.ndarray]:
    return [picture(seed, 64 + 32 * seed, 96) for seed in range(4)]


@pytest.fixture(scope="module")
def grammar() -> Grammar:
    tokenizer = tokens()
    return Grammar(tokenizer, len(tokenizer) + 50, vlm_schema.schema())  # models pad their vocabulary


def write(grammar: Grammar, scores, rows: int, soft: int) -> tuple[list[bytes], list[float | None], int]:
    """A greedy generation over `scores(step) → (rows, vocabulary)`: texts, confidences, steps."""
    import torch

    guide = Guide(grammar, rows, soft)
    ids = torch.zeros((rows, 1), dtype=torch.long)
    steps = 0
    while steps == 0 or not (ids[:, 1:] == grammar.eos).any(1).all():
        chosen = guide(ids, scores(steps)).argmax(-1)
        ids = torch.cat([ids, chosen[:, None]], 1)
        steps += 1
        assert steps <= soft + vlm.CLOSING_TOKENS
    ended = [row[: row.index(grammar.eos)] for row in ids[:, 1:].tolist()]
    return [grammar.tokens.decode_bytes(row) for row in ended], guide.confidence(), steps


class TestGrammar:
    @pytest.mark.parametrize("soft", [0, 1, 2, 7, 15, 31, 64, 200, 1000])
    def test_random_scores_always_give_an_answer_in_time(self, grammar, soft):
        """Also at a soft limit in the middle of anything: a letter of many bytes, an escape, a word of a vocabulary."""
        import torch

        generator = torch.Generator().manual_seed(soft)
        size = grammar.tokens.vocab_size
        texts, confidences, _ = write(grammar, lambda _: 5 * torch.randn(8, size, generator=generator), 8, soft)
        for text in texts:
            vlm_schema.parse(text.decode())
        assert all(c is None or 0 < c <= 1 for c in confidences)

    def test_an_answer_that_is_written_freely_is_left_as_it_is(self, grammar):
        """The guide may forbid, never reword."""
        import torch

        wanted = json.dumps(
            {
                "caption": {"vi": "Chợ nổi Cái Răng lúc bình minh.", "en": "A floating market at dawn."},
                "text_in_image": ["THỜI SỰ"],
                "objects": ["boat", "person"],
                "actions": ["selling"],
                "emotions": [],
                "colors": ["orange"],
                "scene_type": "market",
                "time_of_day": "dawn",
                "weather": "unknown",
                "location_type": "outdoor",
            },
            ensure_ascii=False,
        )
        ids = [*grammar.tokens.tokenize_str(wanted), grammar.eos]
        sure = torch.nn.functional.one_hot(torch.tensor(ids), grammar.tokens.vocab_size) * 30.0
        (text,), (confidence,), steps = write(grammar, lambda step: sure[step][None], 1, 1000)
        assert text.decode() == wanted and steps == len(ids)
        assert confidence > 0.99

    def test_the_rest_of_an_answer_fits_its_room(self):
        """Were every byte a token: the longest of the shortest ends."""
        words = vlm_schema.vocabularies()
        single = {f: max(words[which], key=len) for f, (which, most) in vlm_schema.FIELDS.items() if most == 1}
        empty = {f: [] for f, (_, most) in vlm_schema.FIELDS.items() if most > 1}
        rest = {"caption": {"vi": "a", "en": "a"}, "text_in_image": [], **empty, **single}
        assert len(json.dumps(rest).encode()) + 8 < vlm.CLOSING_TOKENS


class TestSpeaker:
    @pytest.mark.parametrize("family", FAMILIES)
    def test_every_answer_of_a_random_model_fits_the_schema(self, speakers, images, family):
        answers = speakers[family].answers(images)
        assert len(answers) == len(images)
        for said in answers:
            assert said.answer.caption.vi and said.answer.caption.en
            assert said.confidence is not None and 0 < said.confidence < 1

    @pytest.mark.parametrize("family", FAMILIES)
    def test_a_batch_says_what_each_alone_says(self, speakers, images, family):
        together = speakers[family].answers(images)
        alone = [speakers[family].answers([image])[0] for image in images]
        assert [said.answer for said in together] == [said.answer for said in alone]
        assert np.allclose([s.confidence for s in together], [s.confidence for s in alone], atol=1e-5)
        if family == "qwen25vl":
            assert len({said.answer.caption.vi for said in together}) > 1  # it does look at the image

    def test_the_prompt_is_qwens_chat_form(self):
        golden = Path(__file__).with_name("vlm_prompt.txt").read_bytes().decode()
        assert vlm.prompt() == golden, "the prompt changed: raise PROMPT_VERSION and renew the golden file"

    def test_without_a_soft_limit_the_schema_itself_ends_it(self, tiny, images):
        speaker = VlmSpeaker(checkpoint(tiny("qwen2vl_with_head")), most_tokens=64, answer_tokens=900)
        assert speaker.answers(images[:1])[0].answer.caption.en

    def test_out_of_memory_halves_the_batch_and_says_the_same(self, speakers, images):
        import torch

        speaker = speakers["qwen25vl"]
        expected = speaker.answers(images)
        sizes = []

        def fail(module, args, kwargs):
            sizes.append(kwargs["input_ids"].shape[0])
            if sizes[-1] > 2:
                raise torch.OutOfMemoryError("CUDA out of memory.")

        hook = speaker._model.register_forward_pre_hook(fail, with_kwargs=True)
        halved = speaker.strain.halved
        try:
            found = speaker.answers(images)
        finally:
            hook.remove()
            speaker.batches.limit = 10_000
        assert [said.answer for said in found] == [said.answer for said in expected]
        assert sizes[0] == 4 and speaker.strain.halved == halved + 1

    def test_an_image_that_never_fits_is_an_error_of_its_own(self, speakers, images):
        import torch

        speaker = speakers["qwen25vl"]

        def fail(module, args):
            raise torch.OutOfMemoryError("CUDA out of memory.")

        hook = speaker._model.register_forward_pre_hook(fail)
        try:
            with pytest.raises(ItemTooLarge):
                speaker.answers(images[:1])
        finally:
            hook.remove()
            speaker.batches.limit = 10_000

    def test_a_model_that_gives_no_numbers_is_an_error(self, tiny, images):
        import torch

        speaker = VlmSpeaker(checkpoint(tiny("qwen25vl")), most_tokens=64, answer_tokens=20)
        with torch.no_grad():
            speaker._model.lm_head.weight.fill_(torch.nan)
        with pytest.raises(ModelError, match="not finite"):
            speaker.answers(images[:1])

    def test_a_missing_folder_names_the_cure(self, tmp_path):
        with pytest.raises(ModelFileMissing, match="khung models pull qwen3-vl-8b"):
            VlmSpeaker(checkpoint(tmp_path, "qwen3-vl-8b"))

    def test_the_fingerprint_holds_prompt_and_bounds(self, speakers):
        assert f"/tokens-64/answer-60/{vlm_schema.prompt_fingerprint()}/" in speakers["qwen3vl"].fingerprint


class Counting:
    """A Speaker that answers with the picture's first value and counts."""

    fingerprint = "counting"

    def __init__(self) -> None:
        self.asked = 0

    def stream(self, images):
        for image in images:
            self.asked += 1
            if image[0, 0, 0] == 99:
                raise ModelError("99")
            yield said(int(image[0, 0, 0]))


def said(number: int) -> Said:
    fields = {f: [] if most > 1 else "unknown" for f, (_, most) in vlm_schema.FIELDS.items()}
    caption = {"vi": f"số {number}", "en": f"number {number}"}
    text = {"caption": caption, "text_in_image": [f"SỐ {number}"], **fields}
    return Said(vlm_schema.parse(json.dumps(text)), 0.5)


class TestDescriber:
    def test_a_frame_is_generated_once_for_describer_and_reader(self):
        speaker = Counting()
        describer = SpeakingDescriber(speaker)
        images = [np.full((4, 4, 3), n, np.uint8) for n in (1, 2, 1, 3)]
        assert [d.captions["en"] for d in describer.describe(images)] == [
            "number 1",
            "number 2",
            "number 1",
            "number 3",
        ]
        lines = SpokenReader(describer).read(images)
        assert [line.text for (line,) in lines] == ["SỐ 1", "SỐ 2", "SỐ 1", "SỐ 3"]
        assert lines[0][0].box == (0.0, 0.0, 1.0, 1.0) and lines[0][0].score == 0.5
        assert speaker.asked == 3

    def test_it_forgets_the_oldest(self):
        speaker = Counting()
        describer = SpeakingDescriber(speaker, remembered=2)
        images = [np.full((4, 4, 3), n, np.uint8) for n in range(5)]
        describer.describe(images)
        describer.describe(images[3:])
        assert speaker.asked == 5
        describer.describe(images[:1])
        assert speaker.asked == 6

    def test_after_a_failure_it_goes_on_from_there(self):
        speaker = Counting()
        describer = SpeakingDescriber(speaker)
        images = [np.full((4, 4, 3), n, np.uint8) for n in (1, 2, 99, 3)]
        with pytest.raises(ModelError):
            describer.describe(images)
        images[2][:] = 4
        describer.describe(images)
        assert speaker.asked == 5

    def test_equal_bytes_of_another_shape_are_another_image(self):
        speaker = Counting()
        SpeakingDescriber(speaker).describe([np.zeros((2, 8, 3), np.uint8), np.zeros((8, 2, 3), np.uint8)])
        assert speaker.asked == 2
