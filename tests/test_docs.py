"""The documentation keeps to what there is: commands and options, make's targets, settings, jobs, links."""

import re
from pathlib import Path

import pytest
import typer

from khung import settings
from khung.cli import app

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
NOT_OURS = re.compile(r"KHUNG_TEST_\w+")  # of the tests themselves
named = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())


def code_of(text: str) -> list[str]:
    """What stands as code, a line each; a line that goes on after a backslash is one."""
    blocks = re.findall(r"^```\w*\n(.*?)^```", text, re.M | re.S)
    rest = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    return [*(re.sub(r"(^|\s)#\s.*", "", line) for line in lines), *re.findall(r"`([^`\n]+)`", rest)]


def settings_named() -> set[str]:
    classes = [c for c in vars(settings).values() if isinstance(c, type) and issubclass(c, settings.BaseSettings)]
    return {
        f"{c.model_config['env_prefix']}{name.upper()}"
        for c in classes
        if c.model_config.get("env_prefix")
        for name in c.model_fields
    }


@named
def test_every_command_and_option_is_there(page):
    top = typer.main.get_command(app)
    wrong = []
    for line in code_of(page.read_text(encoding="utf-8")):
        for words in re.findall(r"(?:^|[\s$&|(])khung ([a-z][^#|&;)]*)", line):
            command, rest = top, words.split()
            while (group := getattr(command, "commands", None)) and rest and re.fullmatch(r"[a-z-]+", rest[0]):
                command = group.get(rest.pop(0))
            options = {o for p in command.params for o in p.opts} | {"--help"} if command else set()
            strange = [word for word in rest if re.match(r"--?[a-z]", word) and word.split("=")[0] not in options]
            if command is None or strange:
                wrong.append(f"khung {words}: {strange or 'no such command'}")
    assert not wrong


@named
def test_every_target_of_make_is_there(page):
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    named = {
        name for line in code_of(page.read_text(encoding="utf-8")) for name in re.findall(r"\bmake ([a-z-]+)", line)
    }
    assert named <= targets


@named
def test_every_setting_is_there(page):
    text = NOT_OURS.sub("", page.read_text(encoding="utf-8"))
    known = settings_named()
    named = set(re.findall(r"\bKHUNG_[A-Z0-9_]*[A-Z0-9]\b(?!_)", text))
    assert {n for n in named if n not in known and not any(k.startswith(f"{n}_") for k in known)} == set()


@named
def test_every_link_leads_somewhere(page):
    text = page.read_text(encoding="utf-8")
    links = [*re.findall(r"\]\(([^)\s]+)\)", text), *re.findall(r'(?:src|srcset)="([^"]+)"', text)]
    for link in (one for one in links if not one.startswith(("http:", "https:", "#"))):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve()
        assert target.exists(), link
        if anchor:
            heads = re.findall(r"^#+ (.*)$", target.read_text(encoding="utf-8"), re.M)
            assert anchor in {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}, link
