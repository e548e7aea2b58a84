"""The same data and the same questions give the same ranking on both text engines, but for what each counts otherwise.

bench/STORES.md has the numbers and what differs.
"""

import secrets
from pathlib import Path

import numpy as np
import pytest
import servers
from text_agreement import agreement, documents, spearman

from khung.stores.opensearch_index import connect, delete_index, write_index
from khung.stores.text_opensearch import OpenSearchText
from khung.stores.text_tantivy import TantivyText, write_part


@pytest.mark.services
def test_both_engines_rank_alike(tmp_path: Path) -> None:
    client, name = connect(servers.shared("opensearch"), timeout_s=60), f"test-{secrets.token_hex(6)}"
    everything = list(documents(3_000))
    for part in range(4):
        (tmp_path / str(part)).mkdir()
        write_part(tmp_path / str(part), everything[part::4])
    write_index(client, name, everything, shards=2)
    try:
        found = agreement(TantivyText([tmp_path / str(part) for part in range(4)]), OpenSearchText(client, name))
    finally:
        delete_index(client, name)
    print(found)
    for kind, floor in FLOORS.items():
        assert found[kind]["rank_correlation"] >= floor[0] and found[kind]["same_ten"] >= floor[1], (kind, found[kind])


FLOORS = {
    "captions, with marks": (0.999, 0.99),
    "captions, without marks": (0.999, 0.99),
    "captions, English": (0.999, 0.99),
    "on-screen text": (0.93, 0.85),  # fewer documents have any: the engines average their lengths differently
}
"""(rank correlation, share of the best ten)"""


def test_rank_correlation_by_hand() -> None:
    assert spearman(np.array([3.0, 2, 1]), np.array([30.0, 20, 10])) == pytest.approx(1)
    assert spearman(np.array([3.0, 2, 1]), np.array([1.0, 2, 3])) == pytest.approx(-1)
    assert spearman(np.array([1.0, 1, 2]), np.array([1.0, 1, 2])) == pytest.approx(1)
