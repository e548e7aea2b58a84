"""What stopped a run, in its own words: from Dagster's wrapped errors to the sentence that khung raised."""

from dagster._utils.error import SerializableErrorInfo


def innermost(error: SerializableErrorInfo) -> str:
    """The message of the first cause, without the name of khung's own classes."""
    while error.cause:
        error = error.cause
    return error.message.removeprefix(f"khung.errors.{error.cls_name}: ").strip()
