"""How well shots are found: precision, recall and F1 of each detector and of the merged list, at several thresholds.

Truth is cuts.json: cuts looked at frame by frame. A hard cut counts as found within two frames; a boundary inside a gradual transition (five frames
more to each side) or near a cut marked uncertain counts neither way; gradual transitions found are counted apart.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from bench.video_common import all_clips, extracted, keep, known_cuts, predicted
from khung.settings import ExtractionSettings
from khung.shots.boundaries import transnet_boundaries
from khung.shots.content import adaptive_cuts, content_cuts
from khung.shots.detect import shots_of
from khung.shots.transnet import Prediction

TOLERANCE = 2  # frames
AROUND_GRADUAL = 5

Found = Callable[[Path], Iterable[int]]  # the first frames of new shots


@dataclass
class Score:
    right: int = 0
    wrong: int = 0
    missed: int = 0
    gradual: int = 0
    gradual_known: int = 0

    @property
    def errors(self) -> int:
        return self.wrong + self.missed

    def join(self, other: "Score") -> None:
        for name in vars(self):
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def row(self, name: str) -> dict:
        precision, recall = self.right / max(1, self.right + self.wrong), self.right / max(1, self.right + self.missed)
        f1 = 2 * precision * recall / max(1e-9, precision + recall)
        gradual = f"{self.gradual} of {self.gradual_known}"
        return {"detector": name, "precision": precision, "recall": recall, "F1 hard": f1, "gradual found": gradual}


def score(found: Found, clips: list[Path]) -> Score:
    total, truth = Score(), known_cuts()
    for clip in clips:
        _add(total, list(found(clip)), truth[clip.name])
    return total


def _add(total: Score, found: list[int], truth: dict) -> None:
    hard = [cut + 1 for cut in truth["hard"]]
    open_cuts, seen = set(hard), set()
    for frame in found:
        near = [cut for cut in open_cuts if abs(cut - frame) <= TOLERANCE]
        inside = [
            i
            for i, (first, last) in enumerate(truth["gradual"])
            if first - AROUND_GRADUAL <= frame <= last + AROUND_GRADUAL + 1
        ]
        if near:
            open_cuts.discard(near[0])
        elif inside:
            seen.update(inside)
        elif not any(abs(frame - cut - 1) <= AROUND_GRADUAL for cut in truth["uncertain"]):
            total.wrong += 1
    total.right += len(hard) - len(open_cuts)
    total.missed += len(open_cuts)
    total.gradual += len(seen)
    total.gradual_known += len(truth["gradual"])


def by_transnet(threshold: float, precision: str) -> Found:
    return lambda clip: [b.frame for b in transnet_boundaries(predicted(clip, precision), threshold)]


def merged(precision: str, **changes: float) -> Found:
    settings = ExtractionSettings(**changes)

    def found(clip: Path) -> list[int]:
        extraction, prediction = extracted(clip), predicted(clip, precision)
        signals = extraction.signals | {"transnet": prediction.one_hot, "transnet_many": prediction.many_hot}
        return [shot.start_frame for shot in shots_of("v", signals, extraction.duration_ms, settings)[1:]]

    return found


def left_out(clips: list[Path]) -> Score:
    """Each clip judged with the threshold that is best on all the others (the middle one of equals)."""
    grid = [threshold / 100 for threshold in range(10, 65, 3)]
    single = {(clip, t): score(merged("exact", transnet_threshold=t), [clip]) for clip in clips for t in grid}
    total = Score()
    for clip in clips:
        worth = [sum(single[other, t].errors for other in clips if other != clip) for t in grid]
        best = [t for t, errors in zip(grid, worth, strict=True) if errors == min(worth)]
        total.join(single[clip, best[len(best) // 2]])
    return total


def agreement(clips: list[Path]) -> tuple[float, float]:
    """F1 of the 8-bit mode's boundaries against the exact mode's, and the largest difference of a probability."""
    right = wrong = missed = 0
    worst = 0.0
    threshold = ExtractionSettings().transnet_threshold
    for clip in clips:
        exact, fast = (predicted(clip, precision) for precision in ("exact", "int8"))
        worst = max(worst, _difference(exact, fast))
        theirs, ours = ([b.frame for b in transnet_boundaries(p, threshold)] for p in (exact, fast))
        hits = sum(any(abs(frame - other) <= TOLERANCE for other in theirs) for frame in ours)
        right, wrong, missed = right + hits, wrong + len(ours) - hits, missed + len(theirs) - hits
    return 2 * right / max(1, 2 * right + wrong + missed), worst


def _difference(exact: Prediction, fast: Prediction) -> float:
    return float(abs(exact.one_hot - fast.one_hot).max())


def main() -> None:
    clips = [clip for clip in all_clips() if clip.name in known_cuts()]
    default = ExtractionSettings()
    rows = []
    for threshold in (0.1, 0.2, 0.27, 0.33, 0.4, 0.5, 0.6):
        rows.append(score(by_transnet(threshold, "exact"), clips).row(f"TransNetV2 {threshold}"))
    for threshold in (20.0, 24.0, 27.0, 30.0, 35.0):
        rows.append(
            score(lambda clip, t=threshold: content_cuts(extracted(clip).signals["content"], t), clips).row(
                f"Content {threshold:g}"
            )
        )
    for threshold in (2.0, 2.5, 3.0, 3.5, 4.0):
        rows.append(
            score(lambda clip, t=threshold: adaptive_cuts(extracted(clip).signals["content"], t), clips).row(
                f"Adaptive {threshold:g}"
            )
        )
    for threshold in (0.2, 0.27, 0.33, 0.4, 0.5):
        rows.append(score(merged("exact", transnet_threshold=threshold), clips).row(f"merged, TransNetV2 {threshold}"))
    for shortest in (0.2, 0.5):
        rows.append(score(merged("exact", min_shot_s=shortest), clips).row(f"merged, shots from {shortest} s"))
    rows.append(score(merged("int8"), clips).row("**merged, the default, 8 bits**"))
    rows.append(score(merged("exact"), clips).row("merged, the default, exact"))
    rows.append(left_out(clips).row("merged, threshold chosen on the other clips"))
    f1, worst = agreement(all_clips())
    cuts, gradual = (sum(len(known_cuts()[clip.name][kind]) for clip in clips) for kind in ("hard", "gradual"))
    notes = [
        f"{len(clips)} clips with {cuts} hard cuts and {gradual} gradual transitions, the same on which the thresholds were chosen: "
        "few enough that F1 = 1 means no error here, not none elsewhere. Only thresholds near the default make no error on hard cuts.",
        f"The default: TransNetV2 {default.transnet_threshold}, content {default.content_threshold:g}, adaptive {default.adaptive_threshold:g}, "
        f"merged within {default.merge_within_s} s, shots from {default.min_shot_s} s.",
        f"8 bits against the exact mode on {len(all_clips())} clips: F1 {f1:.3f} of boundaries, probabilities at most {worst:.3f} apart.",
    ]
    keep("video_shots", {"Shots: precision and recall on known cuts": rows}, notes)


if __name__ == "__main__":
    main()
