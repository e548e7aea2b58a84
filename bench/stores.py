"""Stores against a bare reference in the same run: sealing, loading, bulk writing; a million vectors and a million captions.

    python -m bench stores [-- --only seal,kinds,many,text,postgres,opensearch,agreement --vectors 1000000 --captions 1000000]

CPU seconds for what runs in this process (one thread), wall seconds where a server does the work; each pair is interleaved and the
middle ratio kept. Made data is kept in the temporary folder between runs. bench/stores.json has every part's last result,
bench/STORES.md is made of it.
"""

import argparse
import json
import os
import platform
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
sys.path[:0] = [str(Path(__file__).parent.parent), str(Path(__file__).parent.parent / "tests" / "support")]

RESULTS, PAGE = Path(__file__).parent / "stores.json", Path(__file__).parent / "STORES.md"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="some of the parts, with commas")
    parser.add_argument("--vectors", type=int, default=1_000_000)
    parser.add_argument("--captions", type=int, default=1_000_000)
    parser.add_argument("--frames", type=int, default=20_000, help="records and captions for the servers")
    chosen = parser.parse_args()
    from bench import stores_servers, stores_text, stores_vectors  # after the threads are set

    parts: dict[str, Callable[[], dict]] = {
        "seal": lambda: stores_vectors.seal(min(60_000, chosen.vectors)),
        "kinds": lambda: stores_vectors.kinds(min(100_000, chosen.vectors)),
        "many": lambda: stores_vectors.many(chosen.vectors),
        "text": lambda: stores_text.many(chosen.captions),
        "postgres": lambda: stores_servers.load_postgres(chosen.frames),
        "opensearch": lambda: stores_servers.write_opensearch(chosen.frames),
        "agreement": lambda: stores_servers.agreement(chosen.frames),
    }
    wanted = [name for name in chosen.only.split(",") if name] or list(parts)
    if unknown := set(wanted) - parts.keys():
        parser.error(f"No such part: {', '.join(sorted(unknown))}. There are: {', '.join(parts)}.")
    for name in wanted:
        _keep(name, {"date": date.today().isoformat(), "machine": _machine()} | parts[name]())


def _keep(name: str, found: dict) -> None:
    from bench.stores_page import page

    everything = (json.loads(RESULTS.read_bytes()) if RESULTS.exists() else {}) | {name: found}
    RESULTS.write_text(json.dumps(everything, indent=1, sort_keys=True, ensure_ascii=False) + "\n")
    PAGE.write_text(page(everything))
    print(name, json.dumps(found, indent=1, ensure_ascii=False), flush=True)


def _machine() -> str:
    return f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"


if __name__ == "__main__":
    main()
