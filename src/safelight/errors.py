"""The whole error tree.

Only three things can be done about an error, so there are three branches::

    SafelightError
    |- RequestError     the caller can fix it            exit 2
    |- TransientError   try again later                  exit 3
    `- IntegrityError   stop, and tell the operator      exit 4

Every error has a stable ``code``, a one-line message and a ``hint``. Messages carry ids, sizes and
names of fields; never a prompt, a file name, a key or a pixel. Missing and forbidden look alike:
both are :class:`NotFoundError`.
"""

from __future__ import annotations

from typing import ClassVar


class SafelightError(Exception):
    """Base of every error that Safelight raises on purpose.

    ``message`` is one line for people, in lower case and without a full stop. ``hint`` says what
    to do.
    """

    code: ClassVar[str] = "error"
    http_status: ClassVar[int] = 500
    exit_code: ClassVar[int] = 1
    default_hint: ClassVar[str] = "report this with the code, not with the prompt"

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint if hint is not None else self.default_hint


# --- the caller can fix it -----------------------------------------------------------------------


class RequestError(SafelightError):
    """The request is wrong; sending it again unchanged will fail again."""

    code = "bad-request"
    http_status = 400
    exit_code = 2
    default_hint = "check the request and send it again"


class RecipeError(RequestError):
    """A recipe holds an impossible value. The message names the field, never its text."""

    code = "bad-recipe"
    http_status = 422
    default_hint = "see the recipe reference for what each field takes"


class UnknownModelError(RequestError):
    """No model in the catalogue has this name or digest."""

    code = "unknown-model"
    http_status = 404
    default_hint = "run `safelight models list` to see what is here"


class ModelFormatError(RequestError):
    """A model file is in a form that is not loaded (pickle, broken header, unknown family)."""

    code = "bad-model"
    http_status = 422
    default_hint = "use a diffusers folder or a .safetensors checkpoint"


class PictureError(RequestError):
    """An input picture cannot be read: truncated, too large, or not a picture."""

    code = "bad-picture"
    http_status = 422
    default_hint = "use a PNG, JPEG or WebP picture of at most 64 megapixels"


class RefusedError(RequestError):
    """The content rules refuse this request. ``category`` goes to the caller only."""

    code = "refused"
    http_status = 422
    default_hint = "see docs/reference/content-rules.md for what is refused and why"

    def __init__(self, category: str, *, hint: str | None = None) -> None:
        super().__init__(f"the content rules refuse this request ({category})", hint=hint)
        self.category = category


class NotFoundError(RequestError):
    """Nothing with this id is here for this caller. Missing and forbidden answer alike."""

    code = "not-found"
    http_status = 404
    default_hint = "check the id, and that you are signed in as its owner"


class AuthenticationError(RequestError):
    """Nobody is signed in, or the sign-in failed. Never says which part was wrong."""

    code = "not-signed-in"
    http_status = 401
    default_hint = "sign in and try again"


class ForbiddenError(RequestError):
    """The caller is known but lacks this right (a scope, a role, a plan)."""

    code = "not-allowed"
    http_status = 403
    default_hint = "ask the operator, or use a key with this scope"


class ConflictError(RequestError):
    """The thing changed meanwhile, or the name or idempotency key is in use for something else."""

    code = "conflict"
    http_status = 409
    default_hint = "fetch the current state and try again"


class TooLargeError(RequestError):
    """A body or picture is over its limit."""

    code = "too-large"
    http_status = 413
    default_hint = "send less; the limit is in the message"


class ExpiredError(RequestError):
    """The request, share or session is past its time."""

    code = "expired"
    http_status = 410
    default_hint = "make a new one"


class QuotaError(RequestError):
    """The plan's tokens or a limit of the plan are used up."""

    code = "quota"
    http_status = 402
    default_hint = "wait for the next period or change the plan"


class CostMismatchError(RequestError):
    """The cost header outside the seal is not what the recipe inside costs. Nothing is charged."""

    code = "unpriced"
    http_status = 422
    default_hint = "send the cost header that the recipe gives"


class ReplayedError(RequestError):
    """A darkroom has taken this sealed request before, for another job."""

    code = "replayed"
    http_status = 409
    default_hint = "seal the request again; each is taken once"


class OutputError(RequestError):
    """The named output cannot be written there (no folder, a folder, no permission)."""

    code = "bad-output"
    http_status = 400
    default_hint = "name a file in a folder that exists and that you may write to"


class DowngradeError(RequestError):
    """Something would have made a sealed request less protected. Nothing was sent."""

    code = "downgrade-refused"
    http_status = 400
    default_hint = "ask for transit protection yourself if you mean it"


# --- try again later -----------------------------------------------------------------------------


class TransientError(SafelightError):
    """The machine or the server cannot do it now."""

    code = "unavailable"
    http_status = 503
    exit_code = 3
    default_hint = "try again in a moment"


class RateLimitError(TransientError):
    """Too many requests. ``retry_after_seconds`` says when to come back."""

    code = "rate-limited"
    http_status = 429
    default_hint = "wait for the time in Retry-After"

    def __init__(self, message: str, *, retry_after_seconds: int, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.retry_after_seconds = retry_after_seconds


class NoSpaceError(TransientError):
    """The disk is full. No partial file was left."""

    code = "no-space"
    http_status = 507
    default_hint = "free some space and try again"


class NoMemoryError(TransientError):
    """The model or picture does not fit in memory."""

    code = "no-memory"
    http_status = 503
    default_hint = "use a smaller size or a smaller model"


class NoConnectionError(TransientError):
    """The server cannot be reached."""

    code = "no-connection"
    http_status = 502
    default_hint = "check the address, and that the server is running"


class BusyError(TransientError):
    """Another command works on the same profile, and did not end within ten seconds."""

    code = "busy"
    http_status = 503
    default_hint = "wait for the other command, or use another profile with --profile"


class ClassifierError(TransientError):
    """The picture check is missing, crashed, was slow or answered nonsense: nothing is let out."""

    code = "check-unavailable"
    http_status = 503
    default_hint = (
        "the picture check must work before pictures are made; see `safelight models show`"
    )


class DarkroomError(TransientError):
    """The darkroom stopped while it worked on this job."""

    code = "darkroom-stopped"
    http_status = 503
    default_hint = "the job is tried again by itself; same seed, same picture"


class DarkroomKeyLostError(TransientError):
    """Every key this job was sealed to is gone. It is not charged."""

    code = "darkroom-key-lost"
    http_status = 503
    default_hint = "seal and submit again; the client does this by itself"


class CancelledError(TransientError):
    """The job was cancelled."""

    code = "cancelled"
    http_status = 409
    default_hint = "submit again if you want the picture"


# --- stop, and tell the operator -----------------------------------------------------------------


class IntegrityError(SafelightError):
    """Something that must be true is not: a signature, a hash, an order. Nothing was written."""

    code = "integrity"
    http_status = 500
    exit_code = 4
    default_hint = "do not retry; tell the operator, and keep what you have"


class SealError(IntegrityError):
    """A sealed file cannot be opened or has a shape that is not ours."""

    code = "bad-seal"
    http_status = 422


class ManifestError(IntegrityError):
    """A manifest's asset, kind, owner, nonce, hash or signature is not what was expected."""

    code = "bad-manifest"


class RollbackError(IntegrityError):
    """The server showed an older or shorter library than this device has seen."""

    code = "rollback"


class KeyNoteError(IntegrityError):
    """A darkroom key note is unsigned, expired or signed by a key that is not pinned."""

    code = "bad-key-note"


class TamperedModelError(IntegrityError):
    """A model file does not have the digest in the catalogue."""

    code = "tampered-model"


class StateError(IntegrityError):
    """A record was asked to make a step that its state does not allow."""

    code = "bad-state"
    http_status = 409


def all_errors() -> list[type[SafelightError]]:
    """Every error class, in the order of this file. The reference page is made from it."""
    found: list[type[SafelightError]] = []

    def walk(cls: type[SafelightError]) -> None:
        found.append(cls)
        for child in cls.__subclasses__():
            walk(child)

    walk(SafelightError)
    return found
