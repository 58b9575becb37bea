"""Which device, which number format, and how much memory a recipe needs. Decided before loading."""

from __future__ import annotations

import ctypes
import os
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from safelight.catalogue.inspect import read_header
from safelight.errors import NoMemoryError, RequestError

if TYPE_CHECKING:
    from safelight.catalogue import Model
    from safelight.engine.protocol import Offload
    from safelight.recipe import Recipe

WORK_BYTES_PER_PIXEL = 8_192
"""Peak of an autoencoder's decoder, the widest part: about 32 maps of 64 numbers of 4 bytes."""
TILED_BYTES = 512 * 512 * WORK_BYTES_PER_PIXEL
RESERVE_BYTES = 512 * 1024 * 1024
TILE_OVER_PIXELS = 1_024 * 1_024


def choose_device(wish: str) -> str:
    """The device to use: ``cuda``, then ``mps``, then ``cpu`` where the wish is ``auto``.

    Raises :class:`RequestError` for one that this machine lacks.
    """
    import torch

    has_cuda, has_mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    if wish == "auto":
        return "cuda" if has_cuda else "mps" if has_mps else "cpu"
    kind, _, number = wish.partition(":")
    here = {"cpu": True, "cuda": has_cuda, "mps": has_mps}.get(kind, False)
    if not here or (number and not (number.isdigit() and int(number) < torch.cuda.device_count())):
        raise RequestError("this machine has no such device", hint="use auto, cpu, cuda or mps")
    return wish


def choose_dtype(device: str) -> str:
    """``bfloat16`` where a CUDA card has it, ``float16`` on others and MPS, ``float32`` on a CPU.

    A CPU draws in float32: half formats change with the kernels that a processor happens to have.
    """
    if device.startswith("cuda"):
        import torch

        return "bfloat16" if torch.cuda.is_bf16_supported() else "float16"
    return "float16" if device == "mps" else "float32"


def free_bytes(device: str) -> int:
    """Memory of the device that is free now, in bytes."""
    if device.startswith("cuda"):
        import torch

        return int(torch.cuda.mem_get_info(torch.device(device))[0])
    meminfo = Path("/proc/meminfo")
    if meminfo.is_file():
        for line in meminfo.read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return min(int(line.split()[1]) * 1024, _left_in_cgroup())
    # macOS tells the whole memory only; half of it is a careful guess.
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2


def give_back() -> None:
    """Return freed memory to the system where the C library keeps it (glibc); else nothing."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if os.name == "posix" else None
    if trim is not None:
        trim(0)


def _left_in_cgroup(folder: Path = Path("/sys/fs/cgroup")) -> int:
    """What a container's limit leaves, in bytes; more than any machine has if there is none."""
    try:
        limit = int((folder / "memory.max").read_text(encoding="ascii"))
        return max(0, limit - int((folder / "memory.current").read_text(encoding="ascii")))
    except (OSError, ValueError):
        return 2**62


@lru_cache(maxsize=64)
def weight_bytes(model: Model, dtype: str) -> tuple[int, int]:
    """Bytes of all weights, and of the largest part, in this number format.

    Counted from the headers of the files, without reading the weights, and once: a model's digest
    stands for its files.
    """
    size = 4 if dtype == "float32" else 2
    files = [model.path] if model.form == "file" else sorted(model.path.rglob("*.safetensors"))
    parts: dict[Path, int] = {}
    for file in files:
        numbers = 0
        for shape in read_header(file).values():
            count = 1
            for side in shape:
                count *= side
            numbers += count
        parts[file.parent] = parts.get(file.parent, 0) + numbers * size
    return sum(parts.values()), max(parts.values(), default=0)


def plan_memory(
    recipe: Recipe, model: Model, device: str, dtype: str, free: int
) -> tuple[Offload, bool, bool, int, tuple[str, ...]]:
    """Offload, slicing, tiling, bytes needed, and notes for people.

    Prefers everything on the device; then tiles the autoencoder; then keeps only the working part
    on the device; then only the working layer. Raises :class:`NoMemoryError` if even that is too
    much.
    """
    whole, largest = weight_bytes(model, dtype)
    pixels = recipe.width_px * recipe.height_px
    half = 1 if dtype == "float32" else 2
    work = pixels * WORK_BYTES_PER_PIXEL // half
    tiled = min(work, TILED_BYTES // half)
    slicing = pixels > TILE_OVER_PIXELS
    budget = free - RESERVE_BYTES
    notes: list[str] = []
    if whole + work <= budget and not slicing:
        return "none", False, False, whole + work, ()
    if whole + tiled <= budget:
        notes.append("the picture is decoded in tiles to save memory")
        return "none", True, True, whole + tiled, tuple(notes)
    if device == "cpu":
        need = whole + tiled
        raise NoMemoryError(
            f"this needs about {need // 2**20} MiB of memory and {max(budget, 0) // 2**20} are free"
        )
    if largest + tiled <= budget:
        notes.append("parts of the model wait in main memory until needed; this is slower")
        return "model", True, True, largest + tiled, tuple(notes)
    if tiled + largest // 8 <= budget:
        notes.append("layers of the model move in one by one; this is much slower")
        return "sequential", True, True, tiled + largest // 8, tuple(notes)
    raise NoMemoryError(
        f"this needs at least {(tiled + largest // 8) // 2**20} MiB on the device and "
        f"{max(budget, 0) // 2**20} are free"
    )
