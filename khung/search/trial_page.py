"""A trial as one HTML page that needs nothing else: figures by class, how far down the answers lie, and every topic's rank.

Plots are inline SVG; nothing is loaded from anywhere. The figures are `trial.py`'s.
"""

from collections.abc import Sequence
from datetime import datetime
from html import escape

import numpy as np

from khung.search.trial import Difference, Trial

SHOWN = ("mrr", "ndcg@10", "p@10", "recall@10", "recall@100", "found@1", "found@10", "aic", "dres")
_COLOURS = ("#2563eb", "#d97706")
_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1f2937}
table{border-collapse:collapse;margin:1rem 0}td,th{padding:.2rem .6rem;border-bottom:1px solid #e5e7eb;text-align:right}
td:first-child,th:first-child,td.l{text-align:left}small{color:#6b7280}svg{max-width:100%;height:auto}
.sure{font-weight:600}.none{color:#b91c1c}
@media(prefers-color-scheme:dark){body{background:#111827;color:#e5e7eb}td,th{border-color:#374151}}
"""


def page(trials: Sequence[Trial], differences: Sequence[Difference] = (), *, about: str = "") -> str:
    """One trial, or two that asked the same topics, with their differences. `about`: what was asked, e.g. the snapshot."""
    parts = [
        f"<h1>khung: {escape(' against '.join(t.name for t in trials))}</h1>",
        f"<p>{escape(about)} {len(trials[0].outcomes)} topics. <small>{datetime.now():%Y-%m-%d %H:%M}</small></p>",
        *(_remarks(trial) for trial in trials),
        "<h2>How far down the first right frame lies</h2>",
        _curve(trials),
        "<h2>Mean reciprocal rank by class of question</h2>",
        _bars(trials),
        *(_table(trial) for trial in trials),
        _compared(trials, differences) if differences else "",
        "<h2>Topics</h2>",
        _topics(trials),
    ]
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>khung: a trial</title><style>{_STYLE}</style>'
    return f'<!doctype html><html lang="en"><head>{head}</head><body>{"".join(parts)}</body></html>\n'


def _remarks(trial: Trial) -> str:
    told = []
    if trial.left_out:
        told.append(f"{len(trial.left_out)} topics ask for videos that are not in this library and were left out.")
    if trial.without_frame:
        told.append(f"{len(trial.without_frame)} topics have no keyframe in their moment and count as not found.")
    if trial.degraded:
        told.append(f"Some answers lacked {', '.join(sorted(trial.degraded))}.")
    return "".join(f"<p>{escape(line)}</p>" for line in told)


def _table(trial: Trial) -> str:
    heads = "".join(f"<th>{name}</th>" for name in SHOWN)
    rows = [("all", len(trial.outcomes), trial.figures())]
    rows += [(kind, sum(o.topic.kind == kind for o in trial.outcomes), trial.figures(kind)) for kind in trial.kinds]
    body = "".join(
        f"<tr><td>{escape(kind)}</td><td>{count}</td>{''.join(f'<td>{found[name]:.3g}</td>' for name in SHOWN)}</tr>"
        for kind, count, found in rows
    )
    return f"<h2>{escape(trial.name)}</h2><table><tr><th>class</th><th>topics</th>{heads}</tr>{body}</table>"


def _compared(trials: Sequence[Trial], differences: Sequence[Difference]) -> str:
    first, second = (escape(trial.name) for trial in trials)
    rows = "".join(
        f'<tr class="{"sure" if d.p < 0.05 else ""}"><td>{d.measure}</td><td>{d.first:.3f}</td><td>{d.second:.3f}</td>'
        f"<td>{d.second - d.first:+.3f}</td><td>{d.better}</td><td>{d.worse}</td><td>{d.p:.3g}</td></tr>"
        for d in differences
    )
    heads = f"<th>measure</th><th>{first}</th><th>{second}</th><th>difference</th><th>better on</th><th>worse on</th><th>p</th>"
    note = "<small>p: two-sided randomisation test over topics; bold where below .05. Many measures: one in twenty is bold by chance.</small>"
    return f"<h2>Do they differ?</h2><table><tr>{heads}</tr>{rows}</table>{note}"


def _topics(trials: Sequence[Trial]) -> str:
    heads = "".join(f"<th>{escape(trial.name)}</th>" for trial in trials)
    rows = "".join(
        f'<tr><td>{escape(same[0].topic.id)}</td><td class="l">{escape(same[0].topic.kind)}</td>'
        f'<td class="l">{escape(same[0].topic.text)}</td>{"".join(map(_rank, (o.rank for o in same)))}</tr>'
        for same in zip(*(trial.outcomes for trial in trials), strict=True)
    )
    return f"<table><tr><th>topic</th><th>class</th><th>question</th>{heads}</tr>{rows}</table>"


def _rank(rank: int) -> str:
    return f"<td>{rank}</td>" if rank else '<td class="none">–</td>'


def _curve(trials: Sequence[Trial]) -> str:
    """Share of topics found by rank, ranks on a logarithmic scale."""
    ranks = np.arange(1, 101)
    across = 50 + 590 * np.log10(ranks) / 2
    lines = []
    for trial, colour in zip(trials, _COLOURS, strict=False):
        found = np.array([o.rank for o in trial.outcomes])
        share = [((found > 0) & (found <= rank)).mean() for rank in ranks]
        points = " ".join(f"{x:.1f},{230 - 210 * y:.1f}" for x, y in zip(across, share, strict=True))
        lines.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>')
    grid = "".join(
        f'<line x1="50" x2="640" y1="{230 - 210 * y}" y2="{230 - 210 * y}" stroke="#9ca3af" stroke-width=".4"/>'
        f'<text x="44" y="{234 - 210 * y}" text-anchor="end">{y:.0%}</text>'
        for y in (0, 0.25, 0.5, 0.75, 1)
    )
    ticks = "".join(
        f'<text x="{50 + 590 * np.log10(r) / 2:.0f}" y="248" text-anchor="middle">{r}</text>'
        for r in (1, 2, 5, 10, 20, 50, 100)
    )
    return _svg(260, grid + ticks + "".join(lines) + _legend(trials), "share of topics found within the first ranks")


def _bars(trials: Sequence[Trial]) -> str:
    bars, y = [], 14
    for kind in ["", *trials[0].kinds]:
        bars.append(f'<text x="120" y="{y + 11}" text-anchor="end">{escape(kind or "all")}</text>')
        for trial, colour in zip(trials, _COLOURS, strict=False):
            value = trial.figures(kind)["mrr"]
            bars.append(f'<rect x="126" y="{y}" width="{460 * value:.1f}" height="13" fill="{colour}"/>')
            bars.append(f'<text x="{132 + 460 * value:.0f}" y="{y + 11}">{value:.3f}</text>')
            y += 16
        y += 8
    return _svg(y + 14, "".join(bars), "mean reciprocal rank by class")


def _legend(trials: Sequence[Trial]) -> str:
    return "".join(
        f'<rect x="60" y="{24 + 16 * n}" width="10" height="10" fill="{_COLOURS[n]}"/><text x="76" y="{33 + 16 * n}">{escape(trial.name)}</text>'
        for n, trial in enumerate(trials[: len(_COLOURS)])
    )


def _svg(height: int, body: str, label: str) -> str:
    return (
        f'<svg viewBox="0 0 660 {height}" width="660" height="{height}" role="img" aria-label="{label}" '
        f'font-size="11" fill="currentColor" font-family="system-ui,sans-serif">{body}</svg>'
    )
