"""docs/faults.md names the test of every row: each of them is there."""

import ast
import re
from pathlib import Path

REPO = Path(__file__).parent.parent.parent
TABLE = (REPO / "docs" / "faults.md").read_text()
ROWS = [*range(1, 43), 44, *range(50, 61)]


def test_every_row_names_a_test_that_is_there() -> None:
    rows = {int(line.split("|")[1]): line for line in TABLE.splitlines() if re.match(r"\| \d", line)}
    assert set(ROWS) <= rows.keys()
    for number, line in rows.items():
        named = re.findall(r"`(tests/[^`]+\.py)::([^`]+)`", line)
        assert named, f"row {number} has no test"
        for path, name in named:
            assert name.split("::")[-1] in functions(REPO / path), f"row {number}: {path} has no {name}"


def functions(path: Path) -> set[str]:
    return {
        node.name
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
