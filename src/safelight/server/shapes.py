"""What travels as JSON, in both directions, for more than one route.

Bytes are standard base64 text. Times are RFC 3339 in UTC. A field that is not listed is refused.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, StringConstraints

B64 = Annotated[str, StringConstraints(max_length=12 * 1024 * 1024)]
SmallB64 = Annotated[str, StringConstraints(min_length=1, max_length=64 * 1024)]
Hex64 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Name = Annotated[str, StringConstraints(min_length=1, max_length=64)]
Recipient = Annotated[str, StringConstraints(pattern=r"^age1[0-9a-z]{20,80}$")]
Id = Annotated[str, StringConstraints(min_length=4, max_length=64)]
Label = Annotated[str, StringConstraints(max_length=64)]

Protection = Literal["sealed", "transit", "public"]
Retention = Literal["none", "owner", "public"]
Visibility = Literal["private", "shared", "public"]
Delivery = Literal["cookie", "token"]


class In(BaseModel):
    """A body that a caller sends. Its repr shows no value."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    __str__ = __repr__


class Out(BaseModel):
    """A body that the server answers with."""

    model_config = ConfigDict(frozen=True)


class FieldProblem(Out):
    """Which field of a request is wrong, and which rule it breaks."""

    field: str
    rule: str


class Problem(Out):
    """An error, as RFC 9457 problem details."""

    type: str
    title: str
    status: int
    code: str
    hint: str
    fields: list[FieldProblem] | None = None
    category: str | None = None


class Empty(Out):
    """Nothing to say but that it is done."""

    done: Literal[True] = True


class AccountOut(Out):
    """An account, as its owner sees it."""

    id: str
    name: str
    role: Literal["owner", "member"]
    plan: str
    owner_recipient: str
    signing_key: str
    created_at: datetime
    tokens_used: int
    tokens_monthly: int | None
    """None for a plan without a limit."""


class SessionOut(Out):
    """One signed-in device."""

    id: str
    device: str
    created_at: datetime
    seen_at: datetime
    expires_at: datetime
    current: bool


class SignedInAnswer(Out):
    """The answer to every way of signing in.

    ``token`` is there when ``delivery`` was ``token``; otherwise the session is a cookie.
    """

    account: AccountOut
    session: SessionOut
    token: str | None = None
    password_file: str | None
    """The unlock file of the password, base64; also in ``files``."""
    files: dict[str, str]
    """The sealed unlock files, base64 by method: ``password``, ``recovery``, ``passkey-...``."""


class OpaqueRequest(In):
    """The first message of an OPAQUE exchange for an account."""

    name: Name
    request: SmallB64


class OpaqueAnswer(Out):
    """The server's half of an OPAQUE exchange; ``login`` names it in the second message."""

    login: str
    response: str


class LoginProof(In):
    """A finished OPAQUE login, as proof that the password is known now."""

    login: Id
    finish: SmallB64


class CostOut(Out):
    """What a job was priced by."""

    model: str
    width_px: int
    height_px: int
    steps: int
    count: int
    features: list[str]


class JobOut(Out):
    """One job, as its owner sees it."""

    id: str
    state: Literal["queued", "running", "done", "refused", "failed", "cancelled"]
    retention: Retention
    protection: Protection
    cost: CostOut
    tokens: int
    created_at: datetime
    not_after: datetime
    started_at: datetime | None
    ended_at: datetime | None
    error_code: str | None
    assets: list[str]


class AssetOut(Out):
    """One kept thing. ``envelope`` is its identity A, sealed to the owner, base64."""

    id: str
    kind: Literal["picture", "clip", "adapter", "project", "upload"]
    visibility: Visibility
    retention: Retention
    protection: Protection
    size_bytes: int
    made_on: str
    seq: int
    envelope: str | None


class Stated(Out):
    """What holds for one picture of an answer with several."""

    protection: Protection
    retention: Retention


class ShareOut(Out):
    """A share, for the one who made it."""

    id: str
    asset: str
    kind: Literal["link", "person"]
    person: str | None
    """Name of the person it is for; None for a link, and once they have left."""
    passphrase: bool
    created_at: datetime
    expires_at: datetime
    opened: int
    revoked_at: datetime | None


class PublicationOut(Out):
    """A public copy. It does not lead back to the asset it came from."""

    id: str
    url: str
    picture: str
    """Address of the picture itself."""
    media_type: str
    size_bytes: int
    width_px: int
    height_px: int
    published_at: datetime
    words: str
    name: str | None
    """Who published it, if they chose to show it."""
    remix: bool
    protection: Literal["public"] = "public"
    retention: Literal["public"] = "public"


class OwnPublicationOut(PublicationOut):
    """A public copy, for its owner only: also says which asset it was made from."""

    asset: str | None
    """None once the original is deleted."""


class KeyOut(Out):
    """An API key, without its secret."""

    id: str
    name: str
    scopes: list[str]
    created_at: datetime
    expires_at: datetime | None
    used_at: datetime | None
