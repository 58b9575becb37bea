"""Sealing the three objects of one kept picture, beside stock ``age`` doing the same bytes."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench.rows import Row

from safelight.vault import container
from safelight.vault.identity import Identity
from safelight.vault.manifest import Kind, describe

SIZES: dict[Kind, int] = {"full": 3_000_000, "thumb": 18_000, "meta": 2_200}
ROUNDS = 15


def median_ms(work: Callable[[], object]) -> float:
    """Median time of ``work`` in ms, after one unmeasured turn."""
    times = []
    for turn in range(ROUNDS + 1):
        began = time.perf_counter()
        work()
        if turn:
            times.append((time.perf_counter() - began) * 1000)
    return statistics.median(times)


def run() -> list[Row]:
    """Ours in one process, as a darkroom does it; stock age as three commands, as a person does."""
    asset, payloads = Identity.generate(), {k: os.urandom(n) for k, n in SIZES.items()}

    def ours() -> list[bytes]:
        return [
            container.seal_object(
                describe(
                    payload,
                    asset="ast_" + "0" * 26,
                    kind=kind,
                    owner=asset.recipient,
                    request_nonce="0" * 32,
                    made_on="2026-11-28",
                    media_type="image/png",
                ),
                payload,
                signing_seed=bytes(32),
                recipients=[asset.recipient],
            )
            for kind, payload in payloads.items()
        ]

    sealed = ours()

    def opened() -> None:
        container.open_object(
            sealed[0],
            asset,
            asset="ast_" + "0" * 26,
            kind="full",
            owner=asset.recipient,
            request_nonce=None,
            darkroom_key="3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29",
        )

    own_ms, open_ms = median_ms(ours), median_ms(opened)
    rows = [
        Row(name="seal a kept picture (3 MB, thumb, meta)", value=own_ms, unit="ms"),
        Row(name="open and verify a 3 MB picture", value=open_ms, unit="ms"),
    ]
    stock = shutil.which("age")
    if stock is None:
        return rows
    with tempfile.TemporaryDirectory() as folder:
        files = []
        for kind, payload in payloads.items():
            path = Path(folder) / kind
            path.write_bytes(payload)
            files.append(path)

        def theirs() -> None:
            for path in files:
                command = [stock, "-r", asset.recipient, "-o", f"{path}.age", str(path)]
                subprocess.run(command, check=True)

        their_ms = median_ms(theirs)
    rows.append(
        Row(
            name="sealing / stock age",
            value=own_ms / their_ms,
            unit="x",
            goal=1.0,
            note=f"stock age: {their_ms:.1f} ms for the same bytes",
        )
    )
    return rows
