"""Values and reasons that the engine says in English, in the words of the interface. Captions and on-screen text stay as they are."""

from functools import lru_cache

from khung.vision import vocabulary
from khung.web.strings import Words

_LOOKS_LIKE = "looks like "
_NOT = "no "


def word(value: str, t: Words) -> str:
    """A value of a closed vocabulary in the interface's language, when there is a word for it."""
    plain = t.maybe(f"word_{value}", value.replace("_", " "))
    return _vietnamese().get(value, plain) if t.language == "vi" else plain


def reason(why: str, channel: str, t: Words) -> str:
    """What a channel says of why it found a frame. The text channels name the words that matched, in their own language."""
    if channel == "facets":
        return ", ".join(_condition(condition, t) for condition in why.split(", "))
    if channel.startswith("vector") and why.startswith(_LOOKS_LIKE):
        parts = why.removeprefix(_LOOKS_LIKE).split(" and ")
        things = (t.maybe(f"like_{part.replace(' ', '_')}", part) for part in parts)
        return t("looks_like", what=f" {t('and')} ".join(things))
    return why


def _condition(condition: str, t: Words) -> str:
    values = "/".join(word(value, t) for value in condition.removeprefix(_NOT).split("/"))
    return t("not_there", what=values) if condition.startswith(_NOT) else values


@lru_cache(maxsize=1)
def _vietnamese() -> dict[str, str]:
    things = {thing.en: thing.vi for thing in vocabulary.objects()}
    scenes = {scene.en: scene.vi for scene in vocabulary.scenes()}
    return {en: found.vi for (_, en), found in vocabulary.words().items()} | things | scenes
