"""What is kept: within its bytes, the newest of what was asked once, and whatever is asked again and again."""

from hypothesis import given
from hypothesis import strategies as st

from khung.api.kept import Kept


def test_questions_asked_once_push_out_none_that_is_asked_again():
    kept = Kept(100, len)
    for name in "ab":
        kept.put(name, name * 10)
        assert kept.get(name) == name * 10
    for n in range(1000):
        kept.put(n, "x" * 10)
    assert [kept.get(name) for name in "ab"] == ["a" * 10, "b" * 10]
    assert kept.get(0) is None and kept.get(999) is not None


def test_a_new_fashion_replaces_the_old_one():
    kept = Kept(100, len)
    for name in "abcdefghijklmnopqrst":
        kept.put(name, name * 10)
        kept.get(name)
    assert kept.get("a") is None and kept.get("t") is not None


def test_what_is_larger_than_all_is_not_kept_and_replaces_nothing_with_what_is_stale():
    kept = Kept(10, len)
    kept.put("a", "small")
    kept.put("a", "x" * 11)
    assert kept.get("a") is None and len(kept) == 0


@given(
    st.lists(st.tuples(st.sampled_from(["put", "get", "drop"]), st.integers(0, 8), st.integers(0, 60))),
    st.integers(0, 100),
)
def test_it_never_takes_more_than_its_bytes_and_gives_what_was_put_last(steps, room):
    kept, last = Kept(room, len), {}
    for step, key, size in steps:
        if step == "put":
            last[key] = "x" * size
            kept.put(key, last[key])
        elif step == "drop":
            last.pop(key, None)
            kept.drop(key)
        else:
            assert kept.get(key) in (None, last.get(key))
        values = [*kept._once.values(), *kept._again.values()]
        assert kept._bytes == sum(map(len, values)) <= room
        assert kept._bytes_again == sum(map(len, kept._again.values()))
