"""The language guess, on lists that the rule was not written from."""

from khung.text.language import language

VI_UNMARKED = """nguoi dan ong mac ao do|co gai di xe dap|cho noi tren song|bat pho|duong pho ban dem|may bay ha canh|tre em da bong|
nguoi phu nu nau an|cau thu ghi ban|con meo ngu tren ghe|xe buyt mau xanh|bien quang cao|hoa sen trong ho|ruong lua chin vang|
doan tau chay qua cau|bac si kham benh|chiec thuyen tren bien|ca si hat tren san khau|lop hoc dong hoc sinh|mua to tren duong pho"""
EN = """a man in a red shirt|cars and traffic lights|two dogs playing on the beach|woman cooking in a kitchen|sunset over the sea|
people walking in the rain|an old fisherman mending nets|football players celebrating a goal|aerial view of a city at night|
children reading books in a library|a white boat on the river|street food vendor|close up of a clock|bride and groom|
motorbikes waiting at a red light|rice field with buffalo|reporter holding a microphone|empty classroom|rocket launch|snowy mountain"""


def test_vietnamese_with_marks():
    assert {language(q) for q in ("áo", "bàn", "người đi bộ", "Tìm xe buýt", "xe tải ở Huế with logo")} == {"vi"}


def test_vietnamese_without_marks():
    assert sum(language(q) == "vi" for q in VI_UNMARKED.split("|")) / 20 >= 0.95


def test_english():
    assert sum(language(q) == "en" for q in EN.split("|")) / 20 >= 0.9


def test_a_foreign_accent_is_not_vietnamese():
    assert language("café table with résumé") == "en"


def test_nothing_to_go_by():
    assert language("") == language("123 ! 😀") == "vi"
