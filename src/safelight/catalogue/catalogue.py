"""The catalogue of a home folder, with the bundled Pocket model always first."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from safelight.catalogue.inspect import Found, inspect
from safelight.catalogue.model import Model
from safelight.errors import (
    ConflictError,
    ModelFormatError,
    NoConnectionError,
    RequestError,
    TamperedModelError,
    UnknownModelError,
)
from safelight.ids import canonical_json, sha256_hex

POCKET_FOLDER = Path(__file__).parent.parent / "engine" / "pocket"
HASH_BYTES = 1024 * 1024
PULL_PATTERNS = ("*.safetensors", "*.json", "*.txt", "*.model", "LICENSE*")


def digest_of(path: Path) -> str:
    """The digest that a catalogue gives to what is at ``path``.

    One file: its SHA-256. A folder: the SHA-256 of the canonical list of its files' SHA-256s, in
    which every weight and configuration file counts, but not ``card.json``. Raises
    :class:`ModelFormatError`.
    """
    return Catalogue(Path())._digest(path, inspect(path))


class Catalogue:
    """Models by name and digest, kept in ``<home>/models/catalogue.json``.

    Written atomically: a crash leaves the old list. Reading needs no lock, and every call reads the
    list anew: what another process adds or removes, a running server sees at its next request. Two
    that change the list wait for each other. A model stays where it is; only pulled ones live in
    the home folder.
    """

    def __init__(self, home: Path, progress: Callable[[int, int], None] | None = None) -> None:
        """``progress`` hears how many bytes of all were hashed when a model is added or checked."""
        self._folder = home / "models"
        self._file = self._folder / "catalogue.json"
        self._hashes: dict[tuple[str, int, int], str] = {}
        self._pocket: Model | None = None
        self._progress = progress or (lambda _done, _total: None)

    def models(self) -> tuple[Model, ...]:
        """Every model and adapter, Pocket first."""
        return (self._bundled(), *self._read())

    def find(self, name_or_digest: str) -> Model:
        """The entry of this name, digest, or unambiguous digest prefix of 8 digits or more.

        Raises :class:`UnknownModelError`.
        """
        entries = self.models()
        for model in entries:
            if name_or_digest in (model.name, model.digest):
                return model
        if len(name_or_digest) >= 8:
            near = [m for m in entries if m.digest.startswith(name_or_digest)]
            if len(near) == 1:
                return near[0]
        raise UnknownModelError("no model here has that name")

    def add(
        self,
        path: Path,
        name: str | None = None,
        licence: str | None = None,
        *,
        source: str = "local",
        commercial: bool | None = None,
    ) -> Model:
        """Take a folder or file into the list; its files stay where they are.

        Raises :class:`ModelFormatError`, or :class:`ConflictError` if the name is taken.
        """
        path = path.resolve()
        found = inspect(path)
        model = Model(
            name=name or path.stem,
            digest=self._digest(path, found),
            family=found.family,
            kind=found.kind,
            form=found.form,
            path=path,
            native_size_px=found.native_size_px,
            default_steps=found.default_steps,
            default_guidance=found.default_guidance,
            side_step_px=found.side_step_px,
            size_bytes=sum(f.stat().st_size for f in found.files),
            licence=licence or "unknown",
            commercial=commercial,
            source=source,
        )
        with self._alone():
            if any(m.name == model.name for m in self.models()):
                raise ConflictError(
                    "a model with that name is already here", hint="pass another --name"
                )
            self._write((*self._read(), model))
        return model

    def remove(self, name: str) -> Model:
        """Take an entry out of the list. Files of a pulled model are deleted, others are left.

        Raises :class:`UnknownModelError`, or :class:`RequestError` for the bundled model.
        """
        model = self.find(name)
        if model == self._bundled():
            raise RequestError("the bundled model cannot be removed")
        with self._alone():
            self._write(tuple(m for m in self._read() if m.name != model.name))
        pulled = (self._folder / "pulled").resolve()
        if model.path.is_relative_to(pulled):
            # A crash here leaves files that no entry names; pulling the same again uses them.
            shutil.rmtree(pulled / model.path.relative_to(pulled).parts[0], ignore_errors=True)
        return model

    def pull(self, repo: str, name: str | None = None) -> Model:
        """Download a model from a hub, ``.safetensors`` only. Nothing else here uses a network.

        Raises :class:`NoConnectionError` offline.
        """
        if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"):
            raise NoConnectionError(
                "pulling a model needs a network, and HF_HUB_OFFLINE forbids it",
                hint="unset HF_HUB_OFFLINE for this one command",
            )
        for cache in ("HF_HUB_CACHE", "HF_XET_CACHE"):  # read when the library is imported
            os.environ[cache] = str(self._folder / "pulled" / ".hub")
        os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HfHubHTTPError

        target = self._folder / "pulled" / sha256_hex(repo.encode())[:16]
        try:
            # A crash here leaves part of the files, outside the list; another pull goes on from it.
            snapshot_download(repo, local_dir=target, allow_patterns=list(PULL_PATTERNS))
        except (HfHubHTTPError, OSError) as error:
            raise NoConnectionError("the model could not be downloaded") from error
        except ValueError as error:
            raise RequestError("that is not the name of a repository") from error
        shutil.rmtree(target / ".cache", ignore_errors=True)  # only a broken pull needs it
        return self.add(_pulled_path(target), name or repo.rsplit("/", 1)[-1], source=repo)

    def verify(self, model: Model) -> None:
        """Hash the model's files again.

        Raises :class:`TamperedModelError` unless the digest is the one in the list.
        """
        try:
            found = inspect(model.path)
            digest = self._digest(model.path, found)
        except (ModelFormatError, OSError):
            digest = ""
        if digest != model.digest:
            raise TamperedModelError(
                f"a file of the model {model.digest[:12]} is not what it was when it was added",
                hint="remove the model and add it again from where you trust it",
            )

    # --- inside ---

    def _bundled(self) -> Model:
        if self._pocket is None:
            found = inspect(POCKET_FOLDER)
            card = json.loads((POCKET_FOLDER / "card.json").read_bytes())
            self._pocket = Model(
                name="pocket",
                digest=card.get("digest") or self._digest(POCKET_FOLDER, found),
                family=found.family,
                kind="model",
                form="folder",
                path=POCKET_FOLDER,
                native_size_px=card["native_size_px"],
                default_steps=card["default_steps"],
                default_guidance=card["default_guidance"],
                side_step_px=found.side_step_px,
                size_bytes=sum(f.stat().st_size for f in found.files),
                licence=card["licence"],
                commercial=card["commercial"],
                source="bundled",
            )
        return self._pocket

    def _read(self) -> tuple[Model, ...]:
        try:
            entries = json.loads(self._file.read_bytes())
        except FileNotFoundError:
            return ()
        except ValueError:
            raise ModelFormatError("the catalogue file cannot be read") from None
        return tuple(Model.from_dict(entry) for entry in entries)

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other processes from changing the list; a crash ends this too."""
        self._folder.mkdir(parents=True, exist_ok=True)
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            yield
        finally:
            os.close(folder)

    def _write(self, models: Sequence[Model]) -> None:
        draft = self._folder / f".{secrets.token_hex(8)}"
        try:
            with draft.open("wb") as file:
                file.write(json.dumps([m.to_dict() for m in models], indent=1).encode())
                file.flush()
                os.fsync(file.fileno())
            # A crash before this line leaves the old list and a draft that nothing reads.
            draft.replace(self._file)
        finally:
            draft.unlink(missing_ok=True)

    def _digest(self, path: Path, found: Found) -> str:
        done, total = 0, sum(f.stat().st_size for f in found.files)

        def hashed(size: int) -> None:
            nonlocal done
            done += size
            self._progress(done, total)

        if found.form == "file":
            return self._hash(path, hashed)
        listing = {f.relative_to(path).as_posix(): self._hash(f, hashed) for f in found.files}
        listing.pop("card.json", None)
        return sha256_hex(canonical_json(listing))

    def _hash(self, path: Path, hashed: Callable[[int], None]) -> str:
        stat = path.stat()
        key = (str(path), stat.st_size, stat.st_mtime_ns)
        if key not in self._hashes:
            digest = hashlib.sha256()
            with path.open("rb") as file:
                while piece := file.read(HASH_BYTES):
                    digest.update(piece)
                    hashed(len(piece))
            self._hashes[key] = digest.hexdigest()
        return self._hashes[key]


def _pulled_path(target: Path) -> Path:
    if (target / "model_index.json").is_file():
        return target
    files = list(target.glob("*.safetensors"))
    if len(files) == 1:
        return files[0]
    raise ModelFormatError("the repository holds neither a diffusers folder nor one checkpoint")
