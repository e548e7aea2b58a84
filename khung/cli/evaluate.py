"""`khung evaluate`: judged topics asked of the library in service; `khung fusion`: learn from them. Figures, a page, an exit code."""

import logging
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from khung.cli.engine import opened_engine
from khung.cli.show import Json, out, print_json

TopicsFile = Annotated[
    Path,
    typer.Argument(
        help="Topics: id, class or -, question, tabs between (.tsv), or .jsonl.", exists=True, dir_okay=False
    ),
]
Judgements = Annotated[
    Path | None,
    typer.Option(help="TREC judgements; default: the .qrels beside the topics.", exists=True, dir_okay=False),
]
SHOWN = ("mrr", "ndcg@10", "p@10", "recall@10", "found@1", "found@10", "aic", "dres")


def evaluate(
    topics: TopicsFile,
    qrels: Judgements = None,
    preset: Annotated[str, typer.Option(help="The setting that is tried; see docs/how-to/evaluate.md.")] = "balanced",
    against: Annotated[str, typer.Option(help="A second setting, compared with the first topic by topic.")] = "",
    page: Annotated[Path | None, typer.Option(help="Write a page with plots here (.html).")] = None,
    json: Json = False,
) -> None:
    """Ask topics with known answers; say how well the library answers, by class of question.

    Examples: `khung evaluate bench/data/moments.tsv --page moments.html`, `khung evaluate my.tsv --preset fixed --against rrf`.
    """
    from khung.search.topics import read_topics
    from khung.search.trial import compare, run
    from khung.search.trial_page import page as page_of

    asked = read_topics(topics, qrels)
    _quietly()
    with opened_engine() as (engine, snapshot):
        timeline = snapshot.records.timeline()
        trials = [run(engine.search, timeline, asked, preset=name) for name in (preset, against) if name]
    differences = compare(*trials) if len(trials) == 2 else []
    if page:
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(page_of(trials, differences, about=f"Snapshot {snapshot.id}."), encoding="utf-8")
    if json:
        kinds = {t.name: {kind: t.figures(kind) for kind in t.kinds} for t in trials}
        return print_json(
            {
                "snapshot": snapshot.id,
                "topics": len(trials[0].outcomes),
                "left_out": trials[0].left_out,
                "without_frame": trials[0].without_frame,
                "figures": {t.name: t.figures() for t in trials},
                "by_class": kinds,
                "differences": differences,
            }
        )
    for trial in trials:
        _show(trial)
    for d in differences:
        if d.measure in SHOWN:
            out.print(
                f"{d.measure:>10} {d.second - d.first:+.3f}  p = {d.p:.3g}  better on {d.better}, worse on {d.worse}"
            )
    if page:
        out.print(f"[dim]page:[/] {page}")


def fusion(
    topics: TopicsFile,
    to: Annotated[Path, typer.Option("--to", "-o", help="Where the learned fusion goes.")],
    qrels: Judgements = None,
    json: Json = False,
) -> None:
    """Learn a fusion from judged topics. It is written only if it wins on topics that it has not seen; else exit code 1."""
    from khung.search.learning import examples, train
    from khung.search.topics import read_topics

    asked = read_topics(topics, qrels)
    _quietly()
    with opened_engine() as (engine, snapshot):
        made = train(examples(engine, snapshot.records.timeline(), asked), snapshot.fingerprint)
    if made.evidence.wins:
        made.write(to)
    if json:
        print_json({"wins": made.evidence.wins, "evidence": made.evidence, "fingerprint": made.fingerprint})
    elif made.evidence.wins:
        out.print(f"It wins: {made.evidence}.\nUse it: KHUNG_SEARCH_FUSION={to}")
    else:
        out.print(f"It does not win: {made.evidence}.\nNothing was written; the fixed combination stays.")
    if not made.evidence.wins:
        raise typer.Exit(1)


def _quietly() -> None:
    """What failed is told once, not with each topic."""
    logging.getLogger("khung").addHandler(logging.NullHandler())


def _show(trial: Any) -> None:
    table = Table(box=None, header_style="dim", padding=(0, 1), title=f"{trial.name}", title_justify="left")
    table.add_column("class", no_wrap=True)
    table.add_column("topics", justify="right")
    for name in SHOWN:
        table.add_column(name, justify="right", no_wrap=True)
    for kind in ["", *trial.kinds]:
        found = trial.figures(kind)
        count = sum(kind in ("", o.topic.kind) for o in trial.outcomes)
        table.add_row(escape(kind or "all"), str(count), *(f"{found[name]:.3g}" for name in SHOWN))
    out.print(table)
    if trial.left_out:
        out.print(f"[dim]{len(trial.left_out)} topics ask for videos that are not here.[/]")
    if trial.without_frame:
        out.print(f"[dim]{len(trial.without_frame)} have no keyframe in their moment and count as not found.[/]")
    if trial.degraded:
        out.print(f"[yellow]![/] some answers lacked {', '.join(sorted(trial.degraded))}")
