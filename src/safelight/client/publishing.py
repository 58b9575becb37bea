"""Publications: a separate public copy, made from an asset that was opened here."""

from __future__ import annotations

from typing import Any

from safelight.client.library import open_asset
from safelight.client.link import Link, need_session
from safelight.ids import check_id
from safelight.vault.identity import OwnerKeys


def publish(
    link: Link,
    keys: OwnerKeys,
    asset: str,
    *,
    words: str = "",
    show_name: bool = False,
    remix: bool = False,
) -> dict[str, Any]:
    """Open an asset here and send a separate public copy; returns the publication."""
    opened = open_asset(link, keys, asset)
    return publish_bytes(
        link, opened.data, opened.media_type, asset, words=words, show_name=show_name, remix=remix
    )


def publish_bytes(
    link: Link,
    data: bytes,
    media_type: str,
    asset: str | None,
    *,
    words: str = "",
    show_name: bool = False,
    remix: bool = False,
) -> dict[str, Any]:
    """Send a public copy of a picture that is already open."""
    need_session(link)
    fields: dict[str, Any] = {
        "picture": ("picture", data, media_type),
        "words": (None, words),
        "show_name": (None, "true" if show_name else "false"),
        "remix": (None, "true" if remix else "false"),
    }
    if asset is not None:
        fields["asset"] = (None, asset)
    made: dict[str, Any] = link.wire.call("POST", "/api/v1/publications", files=fields).json()
    return made | {"url": link.origin + str(made.get("url", ""))}


def own(link: Link) -> list[dict[str, Any]]:
    """The caller's own publications, newest first."""
    need_session(link)
    found = link.wire.get("/api/v1/publications").get("publications", [])
    return [p | {"url": link.origin + str(p.get("url", ""))} for p in found]


def unpublish(link: Link, publication: str) -> None:
    """Take a public copy back."""
    need_session(link)
    link.wire.call("DELETE", f"/api/v1/publications/{check_id('pub', publication)}")
