"""The words that a question may use beside free text, Vietnamese and English, and the finder of the longest of them.

Lines are `value: phrase | phrase …`. A Vietnamese phrase stands with its marks. `!phrase` is not believed in a question without any
mark: there it is too often another word (*tím* purple, *tim* heart). Nothing here knows grammar: that is `query.py`; the facets' own words are
`phrases.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from khung.search import phrases
from khung.search.scan import Token
from khung.text import fold, key, tokens
from khung.vision.vocabulary import objects


@dataclass(frozen=True, slots=True)
class Entry:
    """A phrase of the lexicon."""

    kind: str
    value: str
    keys: tuple[str, ...]
    loose: bool  # a bare word may stand for it in a marked question, too
    strict: bool  # not believed in a question without any mark


class Lexicon:
    """Phrases by the folds of their words. A marked word of a question must be the marked word of the phrase; a bare one
    may stand for it when the whole question is bare, or when the kind is among `loose`: those mean something only beside numbers."""

    def __init__(self, tables: dict[str, str], loose: str = "") -> None:
        self._loose = loose
        self._entries: dict[tuple[str, ...], list[Entry]] = {}
        self._longest: dict[str, int] = {}
        for kind, table in tables.items():
            for line in filter(None, map(str.strip, table.splitlines())):
                value, _, phrases = line.partition(":")
                for phrase in phrases.split("|"):
                    self._add(kind, value.strip(), phrase.strip())

    def _add(self, kind: str, value: str, phrase: str) -> None:
        words = tokens(phrase)
        folds = tuple(map(fold, words))
        entry = Entry(kind, value, tuple(map(key, words)), kind in self._loose, phrase.startswith("!"))
        self._entries.setdefault(folds, []).append(entry)
        self._longest[folds[0]] = max(self._longest.get(folds[0], 0), len(folds))

    def find(
        self, words: Sequence[Token], at: int, *, bare: bool, kinds: Sequence[str] = (), believe: bool = False
    ) -> tuple[Entry, int] | None:
        """The longest phrase (of these kinds) that begins at `words[at]`, with its length.

        `bare`: the whole question has no marks. `believe`: also phrases that a bare question is not believed in.
        """
        for length in range(min(self._longest.get(words[at].fold, 0), len(words) - at), 0, -1):
            part = words[at : at + length]
            for entry in self._entries.get(tuple(t.fold for t in part), ()):
                if (not kinds or entry.kind in kinds) and _agrees(entry, part, bare, believe):
                    return entry, length
        return None

    def values(self, kind: str) -> list[str]:
        """The single values of a kind, sorted."""
        of_kind = (e.value for entries in self._entries.values() for e in entries if e.kind == kind)
        return sorted({v for value in of_kind for v in value.split(",")})

    def value(self, kind: str, text: str) -> str | None:
        """The value that a whole text names, whatever its marks: for `field:` terms."""
        found = self._entries.get(tuple(map(fold, tokens(text))), ())
        exact = tuple(map(key, tokens(text)))
        of_kind = sorted((e for e in found if e.kind == kind), key=lambda e: e.keys != exact)
        return of_kind[0].value if of_kind else None


def _agrees(entry: Entry, part: Sequence[Token], bare: bool, believe: bool) -> bool:
    differing = [t for t, want in zip(part, entry.keys, strict=True) if t.key != want]
    if entry.strict and bare and not believe:
        return False
    return not differing or ((bare or entry.loose) and not any(t.marked for t in differing))


_UNITS = """
h: giờ | tiếng | hour | hours | hr | hrs
m: phút | minute | minutes | min | mins | p | ph
s: giây | second | seconds | sec | secs | s
"""
_ONES_VI = "một hai ba bốn năm sáu bảy tám chín mười"
_ONES_EN = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen twenty"
_TENS_EN = "twenty thirty forty fifty sixty"


def _numbers() -> str:
    """Number words up to 60; *năm* (five, year), *sáu*, *ba* and the like are asked only before a unit or a counted thing."""
    vi = _ONES_VI.split()
    lines = [f"{n}: {'!' if n == 6 else ''}{word}" for n, word in enumerate(vi, 1)]
    lines += [f"{10 + n}: mười {'lăm' if n == 5 else vi[n - 1]}" for n in range(1, 10)]
    for ten in range(2, 7):
        lines.append(f"{10 * ten}: {vi[ten - 1]} mươi")
        lines += [f"{10 * ten + n}: {vi[ten - 1]} mươi {_after_ten(n, vi)}" for n in range(1, 10)]
    lines += [f"{n}: {word}" for n, word in enumerate(_ONES_EN.split(), 1)]
    lines += [f"{n}: {word}" for n, word in zip(range(20, 70, 10), _TENS_EN.split(), strict=True)]
    lines += [
        f"{ten + n}: {word} {one}"
        for ten, word in zip(range(20, 70, 10), _TENS_EN.split(), strict=True)
        for n, one in enumerate(_ONES_EN.split()[:9], 1)
    ]
    return "\n".join([*lines, "0.5: nửa | half a | half", "1: a | an", "2: !đôi | a couple of | both | cả hai"])


def _after_ten(n: int, vi: list[str]) -> str:
    return {1: "mốt", 5: "lăm"}.get(n, vi[n - 1])


# Kinds are single letters: query.py matches patterns over the string of them.
STRUCTURE = Lexicon(
    {
        "U": _UNITS,
        "N": _numbers(),
        "Z": "half: rưỡi",
        "H": "ordinal: thứ",
        "S": "after: sau | sau khoảng | after | later | after about | sau mốc",
        "T": "before: trước | before | until | till | trước mốc",
        "R": "from: từ | kể từ | from | since | starting at | starting from | bắt đầu từ",
        "O": "onward: trở đi | trở về sau | onwards | onward | on",
        "D": "to: đến | tới | cho đến | cho tới | to",
        "B": "middle: giữa | khoảng giữa | phần giữa | đoạn giữa | between | middle | the middle | in the middle",
        "A": "and: và | and",
        "V": "within: trong vòng | trong khoảng | within | no more than | không quá | tối đa",
        "I": "in: trong | during | in | in the | during the",
        "E": """first: đầu | đầu tiên | phần đầu | đoạn đầu | lúc đầu | first | the first | in the first | beginning | the beginning
            first: start | the start""",
        "L": "last: cuối | cuối cùng | phần cuối | đoạn cuối | last | the last | in the last | final | the final | end | the end",
        "F": "of: của | of | of the | of this",
        "X": "video: video | clip | phim | đoạn phim | bộ phim | đoạn video | video này | film | movie | the video | the film | the clip",
        "@": "at: lúc | khoảng | tại | ở | vào lúc | vào | vào khoảng | at | around | at about | quanh | ở khoảng | at around",
        "C": """then: sau đó | rồi | rồi sau đó | và sau đó | rồi thì | tiếp theo | tiếp theo là | tiếp đó | tiếp đến | kế đó | kế tiếp
            then: không lâu sau đó | không lâu sau | ít lâu sau | ít lâu sau đó | ngay sau đó | một lúc sau | một lúc sau đó
            then: cuối cùng là | và cuối cùng là | cuối cùng thì | và cuối cùng | and finally | finally
            then: kế đến | xong rồi | và rồi | then | and then | after that | and after that | followed by | afterwards""",
        "P": "before: trước khi",
        "Q": "after: sau khi",
        "Y": "daypart: sáng | trưa | chiều | tối | đêm | khuya | am | pm",
        "G": """without: không có | không có bất kỳ | không thấy | không còn | không phải | không phải là | !không | chẳng có | không hề có | ngoại trừ | !trừ
            without: without | without any | with no | excluding | except | except for | but no | but not | and no""",
        "g": "without: no",
        # What only looks like structure: falling is not "then", and so on.
        "w": """plain: lá rơi | mưa rơi | tuyết rơi | đánh rơi | rơi xuống nước | rơi xuống đất | rơi xuống sông | rơi xuống biển | rời khỏi | sau lưng | trước mặt | bắt đầu | giữa đường | đầu tóc | từ từ
            plain: không khí | không gian | !không quân | !không trung | hàng không | pháo phòng không | tên lửa phòng không | không ngừng | không lâu | !không may
            plain: không những | không chỉ | không thể | không được | không biết | không rõ | không ai | không sao | không kịp | thuốc trừ sâu | trừ sâu | cửa hàng | nhà hàng
            plain: gian hàng | bán hàng | khách hàng | xếp hàng | mặt hàng | đơn hàng | trước và sau | trước và sau khi | bù giờ
            plain: end of the street | from behind""",
    },
    loose="UZHSTRODBAVIELFX@",
)

COMMANDS = Lexicon(
    {
        "verb": """x: tìm | tìm kiếm | tìm cho tôi | tìm giúp tôi | tìm giúp | tìm cho mình | cho mình xem | cho em xem | kiếm | kiếm cho tôi | cho tôi xem | cho xem | hãy tìm
            x: tôi muốn tìm | tôi muốn xem | tôi cần tìm | mình cần tìm | hiển thị | cho tôi | xem giúp | hãy cho tôi xem | hãy tìm cho tôi
            x: show me | show | find | find me | search | search for | look for | looking for | i am looking for | i m looking for
            x: i want to see | i want to find | give me | display | please find | please show me | can you find | get me""",
        "thing": """x: cảnh | cảnh quay | đoạn | đoạn phim | đoạn video | khung hình | khung cảnh | hình ảnh | video | clip | phân cảnh
            x: scene | scenes | shot | shots | frame | frames | clips | footage | moment | moments | videos | khoảnh khắc""",
        "filler": """x: các | những | một | mọi | tất cả | tất cả các | the | all | all the | any | a | some""",
        "link": "x: có | mà có | về | trong đó có | mà | quay | with | of | where | showing | that shows | containing | in which | featuring | has",
        "plain": "x: cảnh sát | cảnh báo | cảnh vật | video game | hình như | search light",
        "tail": "x: trong video | trong video này | trong phim | trong clip | in the video | in this video | please | giúp tôi | giùm tôi | nhé | với nhé",
    }
)

_OTHER_MEANING = ("orange", "mouse", "remote", "tie")  # by themselves a colour, an animal, far, to bind


def _with_plurals(table: str) -> str:
    """English phrases also in their regular plural; harmless for the rest, which nobody writes so."""
    lines = []
    for line in filter(None, map(str.strip, table.splitlines())):
        value, _, phrases = line.partition(":")
        words = [w.strip() for w in phrases.split("|")]
        plural = [w + ("es" if w.endswith(("s", "x", "ch", "sh")) else "s") for w in words if w.isascii()]
        lines.append(f"{value}: {' | '.join(words + plural)}")
    return "\n".join(lines)


def _objects() -> str:
    """The detector's classes by their own names: English, plural, Vietnamese with its counter, and alone if it is long enough."""
    lines = []
    for thing in objects():
        names = [thing.plural, f"{thing.counter} {thing.vi}".strip()]
        names += [thing.en] if thing.en not in _OTHER_MEANING else []
        names += [thing.vi] if " " in thing.vi else []
        lines.append(f"{thing.en}: {' | '.join(names)}")
    return "\n".join(lines)


FACETS = Lexicon(
    {
        "objects": f"{_objects()}\n{_with_plurals(phrases.SYNONYMS)}",
        "colors": phrases.COLORS,
        "time_of_day": phrases.TIMES,
        "weather": phrases.WEATHER,
        "place": phrases.PLACES,
        "emotions": phrases.EMOTIONS,
        "plain": phrases.PLAIN,
    }
)
