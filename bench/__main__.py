"""Runs the benchmarks, each in a process of its own, and says where the results lie. `python -m bench [NAME…] [-- OPTION…]`"""

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
NOT_BENCHMARKS = {"__init__", "__main__"}


def main(arguments: list[str]) -> int:
    names, options = (
        (arguments[: arguments.index("--")], arguments[arguments.index("--") + 1 :])
        if "--" in arguments
        else (arguments, [])
    )
    known = sorted(
        path.stem for path in HERE.glob("*.py") if path.stem not in NOT_BENCHMARKS and "def main" in path.read_text()
    )
    if unknown := set(names) - set(known):
        print(f"No such benchmark: {', '.join(sorted(unknown))}. There are: {', '.join(known)}.", file=sys.stderr)
        return 2
    (HERE / "out").mkdir(exist_ok=True)
    failed = []
    for name in names or known:
        print(f"── {name}", flush=True)
        if subprocess.run([sys.executable, "-m", f"bench.{name}", *options], check=False, cwd=HERE.parent).returncode:
            failed.append(name)
    print(f"Results: {HERE / 'out'}" + (f"; failed: {', '.join(failed)}" if failed else ""))
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
