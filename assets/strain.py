"""What a full memory has cost a model during a run, for the metadata of what it made."""

from khung.vision.batches import Strain


def strain_of(model: object) -> Strain:
    """So far, in this process or in the workers that hold the model; nothing of models that do not count it."""
    return getattr(model, "strain", Strain())


def told_of(strain: Strain) -> dict[str, int]:
    return {"batches_halved": strain.halved, "frames_with_fewer_tokens": strain.shrunk}
