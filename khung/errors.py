"""The one tree of khung's errors. Every message says what is wrong and, where there is one, the cure.

HTTP problems are made from these in khung.api.problems, exit codes in khung.cli; nothing else translates them.
"""

from typing import Self

_LOOK = "Try again in a moment; who runs this service finds the reason in its log."


class KhungError(Exception):
    """Anything khung raises on purpose. `cure` is a sentence or a command that helps; it may be empty.

    `code` names the message for screens in another language, with `values` for its gaps: `known_as` sets both. A message is for who runs khung and
    may name hosts and paths; `told` is for strangers.
    """

    said: str = ""  # to strangers, in place of a message of this kind that nobody wrote for screens

    def __init__(self, message: str, *, cure: str = "", said: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.cure = cure
        self.said = said or type(self).said
        self.code = ""
        self.values: dict[str, str] = {}

    def known_as(self, code: str, **values: object) -> Self:
        """This error, told also by a name that khung.web has words for."""
        self.code, self.values = code, {name: str(value) for name, value in values.items()}
        return self

    @property
    def told(self) -> tuple[str, str]:
        """The message and the cure that may leave the house."""
        return (self.said, _LOOK) if self.said and not self.code else (self.message, self.cure)

    def __str__(self) -> str:
        return f"{self.message} {self.cure}".strip()


class ConfigError(KhungError):
    """A setting is wrong or two settings do not fit together."""


class MediaError(KhungError):
    """One video cannot be used. `reason` is a short stable code (`not_a_video`, `no_video_stream`, …) kept in the ledger."""

    def __init__(self, reason: str, message: str, *, cure: str = "") -> None:
        super().__init__(message, cure=cure)
        self.reason = reason
        self.known_as(f"reason_{reason}")


class ModelError(KhungError):
    """A model cannot be loaded or failed on its input."""


class ItemTooLarge(ModelError):
    """One input alone is more than the model or the device can take."""


class DeviceLost(ModelError):
    """The accelerator's context is dead: nothing in this process can use it any more. A new process may."""


class ContextLost(DeviceLost):
    """The same, of this very process: whatever else it is asked fails too, so it must end."""


class ModelUnavailable(ModelError):
    """No server of the model can be reached, or none answers in time: nothing that was asked is at fault."""

    said = "The model does not answer."


class ModelFileMissing(ModelError):
    """A model file is not there, or its checksum is wrong."""

    said = "A model is not there."


class StoreError(KhungError):
    """A store (archive, records, text index, cache) failed."""

    said = "A store failed."


class Outage(StoreError):
    """A server does not answer or a disk refuses: whatever needs it fails alike, and may do well a while later."""

    said = "A store does not answer."


class SourceUnreadable(StoreError):
    """A file that was to be put into a store cannot be read; the store itself is well."""

    said = "A file could not be read."


class NotFound(StoreError):
    """What was asked for is not in the store."""

    said = ""  # the message names what was asked for


class CorruptError(StoreError):
    """A checksum, a count or a schema does not agree: refused before use."""

    said = "What is stored is damaged."


class PublishConflict(StoreError):
    """Another publisher moved the pointer first."""

    said = ""


class QueryError(KhungError):
    """The query cannot be understood or is beyond a limit. The searcher can mend it."""


class CursorRefused(QueryError):
    """A cursor that was not made here, or for another question or key. For HTTP: 400."""


class CursorExpired(QueryError):
    """A cursor that was good: it is too old, or its snapshot is no longer kept. For HTTP: 410."""


class AccessDenied(KhungError):
    """No key, an unknown, expired or revoked one (401), or one without the scope (403)."""

    def __init__(self, message: str, *, status: int = 401, cure: str = "") -> None:
        super().__init__(message, cure=cure)
        self.status = status


class TooMany(KhungError):
    """One caller asks more often than is allowed: 429."""

    def __init__(self, message: str, *, retry_after_s: int = 1, cure: str = "") -> None:
        super().__init__(message, cure=cure)
        self.retry_after_s = retry_after_s


class SearchUnavailable(KhungError):
    """No channel could answer: an outage, never an empty result."""


class VectorSpaceMismatch(SearchUnavailable):
    """The query encoder's fingerprint is not the one of the vectors."""


class Overloaded(KhungError):
    """Too much is asked at once. Nothing was done; asking again after `retry_after_s` may succeed."""

    def __init__(self, message: str, *, retry_after_s: int = 1, cure: str = "") -> None:
        super().__init__(message, cure=cure)
        self.retry_after_s = retry_after_s


class ContestError(KhungError):
    """The contest's server refused. `status` is its HTTP status, 0 when the refusal is khung's own. For the browser: 502."""

    def __init__(self, message: str, *, status: int = 0, cure: str = "") -> None:
        super().__init__(message, cure=cure)
        self.status = status


class ContestLoginNeeded(ContestError):
    """No session, an expired one, or a wrong name or password. For the browser: 401."""


class SubmissionRejected(ContestError):
    """A submission was refused before it could count (a rule of the task, no running task, an unknown item). 409."""


class AlreadySent(SubmissionRejected):
    """The team has sent this answer in this task, or is sending it now. 409; it can be sent again on purpose."""


class ContestUnavailable(ContestError):
    """The contest's server is down, slow, or answers what nobody understands. 502."""


class DeliveryUnknown(ContestUnavailable):
    """A submission left and no verdict came back: it may have counted. It is never sent again by itself. 502."""


class AnswerError(KhungError):
    """An answer or an answer file can never be right as it is. The operator can mend it. For the browser: 422."""
