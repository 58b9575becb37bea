"""How records look from outside."""

from __future__ import annotations

from starlette.responses import Response

from safelight.ids import b64
from safelight.records import Account, ApiKey, Asset, Job, Publication, Session, Share
from safelight.server.auth import set_cookie
from safelight.server.context import Context
from safelight.server.shapes import (
    AccountOut,
    AssetOut,
    CostOut,
    Delivery,
    JobOut,
    KeyOut,
    OwnPublicationOut,
    PublicationOut,
    SessionOut,
    ShareOut,
    SignedInAnswer,
)


async def account_out(ctx: Context, account: Account) -> AccountOut:
    """An account, for its owner."""
    used, monthly = await ctx.desk.tokens(account.id)
    return AccountOut(
        id=account.id,
        name=account.name,
        role=account.role,
        plan=account.plan,
        owner_recipient=account.owner_recipient,
        signing_key=account.signing_key,
        created_at=account.created_at,
        tokens_used=used,
        tokens_monthly=monthly,
    )


def session_out(session: Session, current: str | None) -> SessionOut:
    """A session; ``current`` is the id of the one that asks."""
    return SessionOut(
        id=session.id,
        device=session.device,
        created_at=session.created_at,
        seen_at=session.seen_at,
        expires_at=session.expires_at,
        current=session.id == current,
    )


async def signed_in(
    ctx: Context,
    response: Response,
    account: Account,
    session: Session,
    token: str,
    delivery: Delivery,
) -> SignedInAnswer:
    """The answer to a sign-in: a cookie on ``response``, or the token in the body."""
    if delivery == "cookie":
        set_cookie(response, ctx.settings, token)
    files = await ctx.desk.vault_files(account.id)
    return SignedInAnswer(
        account=await account_out(ctx, account),
        session=session_out(session, session.id),
        token=token if delivery == "token" else None,
        password_file=b64(files["password"]) if "password" in files else None,
        files={method: b64(data) for method, data in files.items()},
    )


def job_out(job: Job) -> JobOut:
    """A job."""
    return JobOut(
        id=job.id,
        state=job.state,
        retention=job.retention,
        protection=job.protection,
        cost=CostOut(
            model=job.cost.model,
            width_px=job.cost.width_px,
            height_px=job.cost.height_px,
            steps=job.cost.steps,
            count=job.cost.count,
            features=list(job.cost.features),
        ),
        tokens=job.tokens,
        created_at=job.created_at,
        not_after=job.not_after,
        started_at=job.started_at,
        ended_at=job.ended_at,
        error_code=job.error_code,
        assets=list(job.assets),
    )


def asset_out(asset: Asset, envelope: bytes | None) -> AssetOut:
    """An asset and its key envelope, which only its owner opens."""
    return AssetOut(
        id=asset.id,
        kind=asset.kind,
        visibility=asset.visibility,
        retention=asset.retention,
        protection=asset.protection,
        size_bytes=asset.size_bytes,
        made_on=asset.made_on,
        seq=asset.seq,
        envelope=b64(envelope) if envelope is not None else None,
    )


def share_out(share: Share, person: str | None) -> ShareOut:
    """A share, for the one who made it; ``person`` is the name of whom it names."""
    return ShareOut(
        id=share.id,
        asset=share.asset,
        kind="link" if share.person is None else "person",
        person=person,
        passphrase=share.passphrase_salt is not None,
        created_at=share.created_at,
        expires_at=share.expires_at,
        opened=share.opened,
        revoked_at=share.revoked_at,
    )


def publication_out(publication: Publication, name: str | None) -> PublicationOut:
    """A publication; ``name`` is its owner's, if they chose to show it."""
    return PublicationOut(
        id=publication.id,
        url=f"/explore/{publication.id}",
        picture=f"/api/v1/publications/{publication.id}/picture",
        media_type=publication.media_type,
        size_bytes=publication.size_bytes,
        width_px=publication.width_px,
        height_px=publication.height_px,
        published_at=publication.published_at,
        words=publication.words,
        name=name if publication.show_name else None,
        remix=publication.remix,
    )


def own_publication_out(publication: Publication, name: str) -> OwnPublicationOut:
    """A publication, for its owner."""
    shown = publication_out(publication, name)
    return OwnPublicationOut(**shown.model_dump(), asset=publication.asset)


def key_out(key: ApiKey) -> KeyOut:
    """An API key, without its secret, which the server never had."""
    return KeyOut(
        id=key.id,
        name=key.name,
        scopes=list(key.scopes),
        created_at=key.created_at,
        expires_at=key.expires_at,
        used_at=key.used_at,
    )
