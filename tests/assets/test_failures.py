"""A second failure never hides the first."""

import logging

import pytest

from assets.failures import kept_if_broken_off
from khung.errors import ContextLost, Outage


def test_what_was_made_is_kept_only_when_the_work_breaks_off():
    kept = []
    with kept_if_broken_off(lambda: kept.append("whole")):
        pass
    assert kept == []
    with pytest.raises(KeyboardInterrupt), kept_if_broken_off(lambda: kept.append("part")):
        raise KeyboardInterrupt
    assert kept == ["part"]


@pytest.mark.parametrize(
    "second", [Outage("The disk is full."), OSError("No space left on device"), MemoryError(), ValueError("a bug")]
)
def test_a_lost_device_ends_the_process_though_the_disk_is_full(caplog, second):
    def keep():
        raise second

    with caplog.at_level(logging.WARNING), pytest.raises(ContextLost), kept_if_broken_off(keep):
        raise ContextLost("The accelerator failed.")
    assert (
        str(second) in caplog.text and type(second).__name__ in caplog.text
    )  # a lack of memory has no words of its own
