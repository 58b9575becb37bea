"""One entry of the catalogue."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

from safelight.errors import ModelFormatError

Kind = Literal["model", "adapter"]
Form = Literal["folder", "file"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A model or adapter that is on this machine.

    ``digest`` covers every weight and configuration file. ``native_size_px`` is the side it was
    trained for. ``commercial`` is None where the licence is not known.
    """

    name: str
    digest: str
    family: str
    kind: Kind
    form: Form
    path: Path
    native_size_px: int
    default_steps: int
    default_guidance: float
    side_step_px: int
    size_bytes: int
    licence: str = "unknown"
    commercial: bool | None = None
    source: str = "local"

    def to_dict(self) -> dict[str, Any]:
        """Plain form, as kept in ``catalogue.json`` and printed by ``models list --json``."""
        return asdict(self) | {"path": str(self.path)}

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> Model:
        """Read the plain form. Raises :class:`ModelFormatError` if fields are missing."""
        known = {f.name for f in fields(cls)}
        try:
            kept = {k: v for k, v in value.items() if k in known}
            return cls(**(kept | {"path": Path(kept["path"])}))
        except (KeyError, TypeError):
            raise ModelFormatError("the catalogue has an entry that cannot be read") from None
