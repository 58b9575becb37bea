"""What the desk keeps, as frozen records, and the states they may pass through.

Nothing here can hold a prompt, a picture or a key in the clear: sealed things are ``bytes`` that
only their owner opens.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from safelight.errors import StateError

Protection = Literal["sealed", "transit", "public"]
Retention = Literal["none", "owner", "public"]
Visibility = Literal["private", "shared", "public"]
AssetKind = Literal["picture", "clip", "adapter", "project", "upload"]
Role = Literal["owner", "member"]
JobState = Literal["queued", "running", "done", "refused", "failed", "cancelled"]

JOB_STEPS: dict[JobState, frozenset[JobState]] = {
    # A claimed job runs; a caller may take it back; a job nobody can open any more fails.
    "queued": frozenset({"running", "cancelled", "failed"}),
    # A lost lease or a crashed engine puts it back in the queue: same seed, same picture.
    "running": frozenset({"queued", "done", "refused", "failed", "cancelled"}),
    "done": frozenset(),
    "refused": frozenset(),
    "failed": frozenset(),
    "cancelled": frozenset(),
}
JOB_ENDED: frozenset[JobState] = frozenset({"done", "refused", "failed", "cancelled"})


def check_job_step(before: JobState, after: JobState) -> None:
    """Raise :class:`StateError` unless a job may go from ``before`` to ``after``."""
    if after not in JOB_STEPS[before]:
        raise StateError(f"a job that is {before} cannot become {after}")


@dataclass(frozen=True, slots=True, kw_only=True)
class CostHeader:
    """What a request costs, outside the seal. The darkroom checks it against the recipe."""

    model: str
    """Digest of the model."""
    width_px: int
    height_px: int
    steps: int
    count: int
    features: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, object]:
        """Plain form, as sent in the ``Safelight-Cost`` header (canonical JSON)."""
        return {
            "model": self.model,
            "width_px": self.width_px,
            "height_px": self.height_px,
            "steps": self.steps,
            "count": self.count,
            "features": list(self.features),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A person: ``owner_recipient`` is the age recipient O, ``signing_key`` their Ed25519 key."""

    id: str
    name: str
    role: Role
    plan: str
    owner_recipient: str
    signing_key: str
    """64 hexadecimal digits."""
    created_at: datetime
    disabled: bool = False
    owner_note: str | None = None
    """Signed by the owner: ``owner_recipient`` follows these former ones; None before the first
    rotation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A signed-in device. Only the SHA-256 of its token is kept."""

    id: str
    account: str
    token_sha256: str
    device: str
    """A coarse label that the device chose, such as "browser" or "command line"."""
    created_at: datetime
    seen_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """A key for programs: scoped, expiring, able to fill the vault and not to read it."""

    id: str
    account: str
    name: str
    secret_sha256: str
    scopes: tuple[str, ...]
    owner_recipient: str
    """O at the time the key was made; ``record`` is the owner's signature over it."""
    key_recipient: str
    """Recipient of the key's own identity K (protocol section 2)."""
    record: bytes
    """Signed note by the owner's signing key: which recipient a darkroom may seal to."""
    created_at: datetime
    expires_at: datetime | None
    used_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """The queue's ticket for one recipe.

    A job with ``retention == "none"`` never reaches a database: it lives in the desk's memory only.
    """

    id: str
    account: str | None
    """None for a guest."""
    state: JobState
    retention: Retention
    protection: Protection
    cost: CostHeader
    tokens: int
    created_at: datetime
    not_after: datetime
    idempotency_key: str | None
    attempts: int = 0
    lease_until: datetime | None = None
    darkroom: str | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    error_code: str | None = None
    assets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """One kept thing, sealed to its own identity. The envelope lives in the keys store."""

    id: str
    account: str
    kind: AssetKind
    protection: Protection
    retention: Retention
    visibility: Visibility
    size_bytes: int
    """Sealed bytes of full, thumb and meta together."""
    made_on: str
    """UTC day."""
    seq: int
    """Grows with every asset of the instance: the order of lists and the cursor."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedAsset:
    """What a darkroom hands over for one kept picture: three sealed objects and an envelope."""

    id: str
    kind: AssetKind
    full: bytes
    thumb: bytes
    meta: bytes
    envelope: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """The separate public copy of an asset, under an id that does not lead back to it."""

    id: str
    account: str
    asset: str | None
    media_type: str
    size_bytes: int
    width_px: int
    height_px: int
    published_at: datetime
    words: str
    """Caption that the owner chose to show; public by intent, may be empty."""
    show_name: bool
    remix: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """A revocable, expiring way for somebody else to open one asset."""

    id: str
    account: str
    asset: str
    access_sha256: str | None
    """Hash of the link's access token; None for a share to a named person."""
    person: str | None
    """Account id of the named person."""
    bundle: bytes
    """Age file to the share identity (link) or to the person's recipient: holds identity A."""
    passphrase_salt: bytes | None
    created_at: datetime
    expires_at: datetime
    opened: int = 0
    revoked_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DayBill:
    """All that remains of off-the-record work: how much of what kind on which day."""

    account: str | None
    day: str
    pictures: int
    tokens: int
