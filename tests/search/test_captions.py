"""Text ranking on the collection of confusable captions (data/captions.tsv), through parse → clauses → tantivy.

MRR ≥ .99 with marks and ≥ .95 without; ways to spell one word rank identically. `python -m tests.search.test_captions` prints the table.
"""

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from khung.search.clauses import caption_ask
from khung.search.evaluation import mean, tied_reciprocal_rank
from khung.search.query import parse
from khung.stores.text_tantivy import TantivyText, write_part
from khung.text import fields, fold, key, marked, tokens
from khung.text.forms import strip_marks

DATA = Path(__file__).parent / "data" / "captions.tsv"
ROWS = [line.split("\t") for line in DATA.read_text().splitlines() if line and not line.startswith("#")]
# Two ways to write one word: old and new tone placement at its end, i and y in open syllables.
ENDS = {"òa": "oà", "óa": "oá", "ỏa": "oả", "ọa": "oạ", "ủy": "uỷ", "úy": "uý", "òe": "oè", "ỏe": "oẻ"}
WORDS = {"kỹ": "kĩ", "lý": "lí", "lì": "lỳ", "quí": "quý", "sĩ": "sỹ", "mỹ": "mĩ"}
WAYS = {
    "with marks": lambda q: q,
    "without marks": strip_marks,
    "half marked": lambda q: " ".join(w if n % 2 else strip_marks(w) for n, w in enumerate(q.split())),
    "other half marked": lambda q: " ".join(strip_marks(w) if n % 2 else w for n, w in enumerate(q.split())),
    "NFD": lambda q: unicodedata.normalize("NFD", q),
    "upper case": str.upper,
    "other spelling": lambda q: respelled(q),
    "verbose": lambda q: f"tìm cho tôi cảnh có {q}",
    "verbose without marks": lambda q: strip_marks(f"tìm cho tôi cảnh có {q}"),
}


def respelled(text: str) -> str:
    return " ".join(WORDS.get(w) or (w[:-2] + ENDS[w[-2:]] if w[-2:] in ENDS else w) for w in text.split())


def confusable_words() -> list[tuple[int, str]]:
    """Words with marks that stand in one caption only, though their fold stands in several: `(caption, word)`."""
    keys = [{key(w) for w in tokens(vi)} for vi, _, _ in ROWS]
    folds = [{fold(w) for w in tokens(vi)} for vi, _, _ in ROWS]
    return [
        (n, w)
        for n, (vi, _, _) in enumerate(ROWS)
        for w in dict.fromkeys(tokens(vi))
        if marked(w) and sum(key(w) in k for k in keys) == 1 and sum(fold(w) in f for f in folds) > 1
    ]


def build(folder: Path, rows=ROWS) -> TantivyText:
    write_part(folder, [(n, fields(vi, en, "")) for n, (vi, en, _) in enumerate(rows)])
    return TantivyText([folder])


@pytest.fixture(scope="module")
def index(tmp_path_factory) -> TantivyText:
    return build(tmp_path_factory.mktemp("captions"))


def ranking(index: TantivyText, question: str) -> dict[str, float]:
    parsed = parse(question)
    text = " ".join(e.text for e in parsed.events)
    hits = index.search(caption_ask(text, parsed.language).clauses, limit=len(ROWS))
    return {str(hit.vector_id): hit.score for hit in hits}


def mrr(index: TantivyText, way: str) -> float:
    return mean([tied_reciprocal_rank(ranking(index, WAYS[way](q)), str(n)) for n, (_, _, q) in enumerate(ROWS)])


def test_the_collection_is_large_and_its_words_collide():
    assert len(ROWS) >= 150
    words = {w.lower() for vi, _, _ in ROWS for w in vi.split()}
    folded = [strip_marks(w) for w in words]
    assert sum(folded.count(strip_marks(w)) > 1 for w in words) >= 300


@pytest.mark.parametrize(
    "way,least",
    [("with marks", 0.99), ("without marks", 0.95), ("half marked", 0.97), ("other half marked", 0.97), ("verbose", 0.99), ("verbose without marks", 0.95)],
)  # fmt: skip
def test_mean_reciprocal_rank(index, way, least):
    assert mrr(index, way) >= least


def single_words(index: TantivyText) -> float:
    hits = [index.search(caption_ask(w, "vi").clauses, limit=len(ROWS)) for _, w in confusable_words()]
    scores = [{str(h.vector_id): h.score for h in found} for found in hits]
    return mean([tied_reciprocal_rank(s, str(n)) for s, (n, _) in zip(scores, confusable_words(), strict=True)])


def test_one_confusable_word_alone_is_told_from_its_likes(index):
    assert len(confusable_words()) >= 150
    assert single_words(index) >= 0.97


@pytest.mark.parametrize("way", ["NFD", "upper case", "other spelling"])
def test_spellings_rank_identically(index, way):
    for _, _, question in ROWS:
        assert list(ranking(index, WAYS[way](question)).items()) == list(ranking(index, question).items()), question


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_any_mixture_of_spellings_ranks_identically(index, data):
    question = data.draw(st.sampled_from(ROWS))[2]
    words = [
        data.draw(st.sampled_from([w, w.upper(), unicodedata.normalize("NFD", w), respelled(w), f"\u200b{w}"]))
        for w in question.split()
    ]
    assert list(ranking(index, " ".join(words)).items()) == list(ranking(index, question).items())


def test_english_questions_find_the_english_captions(index):
    found = [tied_reciprocal_rank(ranking(index, en.lower()), str(n)) for n, (_, en, _) in enumerate(ROWS)]
    assert mean(found) >= 0.99


def test_english_function_words_are_not_asked_of_vietnamese_captions():
    terms = {c.term for c in caption_ask("a man in the office", "en").clauses}
    assert terms == {"man", "office", "man_office"}
    assert {c.term for c in caption_ask("in the", "en").clauses} >= {"in", "the"}  # nothing else to go by


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        built = build(Path(folder))
        for way in WAYS:
            print(f"{way:24} {mrr(built, way):.3f}")
        print(f"{'one confusable word':24} {single_words(built):.3f} of {len(confusable_words())}")
