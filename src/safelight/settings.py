"""One frozen :class:`Settings`, from ``safelight.toml`` in the home folder and the environment.

The environment wins over the file; arguments win over both. Each field may be set as
``SAFELIGHT_<FIELD IN CAPITALS>``.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from safelight.errors import RequestError


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything an operator can choose. ``docs/reference/settings.md`` has a line for each."""

    home: Path
    """Where a server keeps everything. Nothing is written elsewhere."""
    host: str = "127.0.0.1"
    """Address to listen on."""
    port: int = 7788
    """Port to listen on; 0 picks a free one."""
    metrics_port: int = 0
    """Port of ``/metrics`` on loopback; 0 turns it off."""
    public_url: str = ""
    """Address that people type, such as ``https://studio.example``; empty means host and port."""
    records_url: str = ""
    """SQLAlchemy URL of the records; empty means SQLite in the home folder."""
    keys_url: str = ""
    """SQLAlchemy URL of the keys store; empty means a second SQLite file in the home folder."""
    blobs_url: str = ""
    """obstore URL of the blobs; empty means files in the home folder."""
    guests: str = "auto"
    """Off-the-record pictures without an account: ``on``, ``off``, ``auto`` (only on loopback)."""
    sign_up: str = "auto"
    """Who may make an account: ``open``, ``closed``, ``auto`` (elsewhere only the first)."""
    session_days: int = 30
    """How long a sign-in lasts."""
    key_minutes: int = 10
    """How long a darkroom key is announced."""
    not_after_minutes: int = 60
    """Longest wait of a sealed request in the queue, by default."""
    lease_seconds: int = 15
    """A running job whose darkroom is silent for this long is tried again."""
    retry_limit: int = 3
    """How often a job is tried before it fails."""
    job_timeout_seconds: int = 900
    """Longest run of one job in the engine."""
    queue_limit: int = 200
    """Most queued jobs of one account."""
    erasure_days: int = 7
    """The erasure horizon: how long a backup of the keys store may live."""
    max_upload_mb: int = 32
    """Largest body of one request."""
    device: str = "auto"
    """``auto``, ``cpu``, ``cuda``, ``cuda:1``, ``mps``."""
    confine: str = "auto"
    """Confinement of the darkroom: ``auto`` what the kernel allows, ``off``, ``require``."""
    operator: str = ""
    """Who runs this server, shown on Trust."""
    law: str = ""
    """Under whose law, shown on Trust."""
    hosted_in: str = ""
    """Where the machine stands, shown on Trust."""
    log_level: str = "info"
    """``info`` or ``debug``; both are the same allow-list of events."""

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the server."""
        return self.host in ("127.0.0.1", "localhost", "::1")

    @property
    def guests_allowed(self) -> bool:
        """Whether people without an account may make off-the-record pictures."""
        return self.guests == "on" or (self.guests == "auto" and self.is_loopback)


_CHOICES = {
    "guests": ("auto", "on", "off"),
    "sign_up": ("auto", "open", "closed"),
    "confine": ("auto", "off", "require"),
    "log_level": ("info", "debug"),
}


def default_home(environ: Mapping[str, str] = os.environ) -> Path:
    """``SAFELIGHT_HOME``, else ``.safelight`` in the user's home folder."""
    return Path(environ.get("SAFELIGHT_HOME") or Path.home() / ".safelight")


def default_profile(environ: Mapping[str, str] = os.environ) -> Path:
    """``SAFELIGHT_PROFILE``, else ``profile`` in the default home: a client's identity and pins."""
    return Path(environ.get("SAFELIGHT_PROFILE") or default_home(environ) / "profile")


def load_settings(
    home: Path, environ: Mapping[str, str] = os.environ, **overrides: Any
) -> Settings:
    """Read the settings of a home folder. Raises :class:`RequestError` naming a wrong setting."""
    values: dict[str, Any] = {}
    path = home / "safelight.toml"
    if path.is_file():
        try:
            values |= tomllib.loads(path.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise RequestError("safelight.toml is not TOML", hint="check the file") from error
    names = {f.name for f in fields(Settings)} - {"home"}
    unknown = set(values) - names
    if unknown:
        raise RequestError(f"safelight.toml has an unknown setting: {sorted(unknown)[0]}")
    for name in names:
        if (text := environ.get(f"SAFELIGHT_{name.upper()}")) is not None:
            values[name] = text
    values |= {k: v for k, v in overrides.items() if v is not None}
    base = Settings(home=home)
    for name, value in list(values.items()):
        default = getattr(base, name)
        if isinstance(default, int):
            try:
                values[name] = int(value)
            except (TypeError, ValueError):
                raise RequestError(f"the setting {name} must be a whole number") from None
        elif not isinstance(value, str):
            raise RequestError(f"the setting {name} must be text")
        if name in _CHOICES and values[name] not in _CHOICES[name]:
            raise RequestError(f"the setting {name} must be one of {', '.join(_CHOICES[name])}")
    return replace(base, **values)
