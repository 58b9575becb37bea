"""The engine process: ``python -m safelight.darkroom.engine_process``, started by the keeper.

Confined before anything heavy is imported; holds no key; keeps models warm between jobs. Its output
streams are closed by the keeper, because libraries print what they are given (a tokenizer that
truncates a prompt prints it). What goes wrong is told as a code and a place in the code, no text.

Frames to the keeper: ``hello``, ``warm``, ``cannot-start``, ``ending``, ``progress``, ``preview``,
``picture``, ``done``, ``refused``, ``failed``, ``cancelled``. From the keeper: ``run``, ``cancel``.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import queue
import socket
import sys
import tempfile
import threading
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safelight.darkroom.confine import confine
from safelight.darkroom.pipe import FramePipe
from safelight.errors import CancelledError, NoMemoryError, RefusedError, SafelightError
from safelight.frames import Frame
from safelight.recipe import Recipe
from safelight.secret import Secret

if TYPE_CHECKING:
    from safelight.catalogue import Catalogue
    from safelight.darkroom.develop import Order
    from safelight.engine import Engine
    from safelight.engine.classifier import Classifier

NICENESS = 10
"""The desk answers first: the engine gives way to it."""
BROKEN_EXIT = 70


def where_of(error: BaseException) -> str:
    """Kind and innermost place of our own code in an error: for operators, and free of text."""
    place = ""
    for frame in traceback.extract_tb(error.__traceback__):
        if "safelight" in frame.filename:
            place = f"{Path(frame.filename).stem}:{frame.lineno}"
    return f"{type(error).__name__} {place}".strip()


class EngineProcess:
    """Reads orders from the keeper, one at a time; a cancel may come meanwhile."""

    def __init__(self, pipe: FramePipe, home: Path, device: str) -> None:
        self._pipe = pipe
        self._home = home
        self._device = device
        self._orders: queue.SimpleQueue[Frame] = queue.SimpleQueue()
        self._cancelled: set[str] = set()

    def serve(self, confinement: dict[str, Any]) -> None:
        """Say hello, warm up, then work until the keeper is gone. Does not return."""
        self._pipe.send({"op": "hello", "confinement": confinement})
        threading.Thread(target=self._listen, name="keeper", daemon=True).start()
        try:
            catalogue, engine, classifier = self._warm_up()
        except Exception as error:  # noqa: BLE001 - reported to the keeper, then the end
            code = error.code if isinstance(error, SafelightError) else "error"
            self._pipe.send({"op": "cannot-start", "code": code, "where": where_of(error)})
            raise SystemExit(BROKEN_EXIT) from None
        while True:
            self._work(catalogue, engine, classifier, self._orders.get())

    def _listen(self) -> None:
        while True:
            try:
                frame = self._pipe.receive()
            except (EOFError, OSError, SafelightError):
                os._exit(0)  # the keeper is gone: nothing here may outlive it
            if frame[0]["op"] == "cancel":
                self._cancelled.add(frame[0]["job"])
            else:
                self._orders.put(frame)

    def _warm_up(self) -> tuple[Catalogue, Engine, Classifier]:
        from safelight.catalogue import Catalogue
        from safelight.engine import open_engine
        from safelight.engine.classifier import Classifier

        catalogue = Catalogue(self._home)
        engine = open_engine(catalogue, self._device)
        classifier = Classifier()
        info = engine.describe()
        _draw_once(engine, classifier, catalogue)
        self._pipe.send({"op": "warm", "device": info.device})
        return catalogue, engine, classifier

    def _work(
        self, catalogue: Catalogue, engine: Engine, classifier: Classifier, frame: Frame
    ) -> None:
        from safelight.darkroom.develop import Reporter, develop

        job = str(frame[0]["job"])
        broken = False
        try:
            order = _order(*frame)
            name = catalogue.find(order.recipe.model).name  # now: it may go while this is drawn
            watch = Reporter(order, self._pipe.send, lambda: job in self._cancelled)
            began = time.monotonic()
            develop(engine, classifier, order, self._pipe.send, watch)
            self._pipe.send(
                {
                    "op": "done",
                    "job": job,
                    "device": engine.describe().device,
                    "model_name": name,
                    "seconds": round(time.monotonic() - began, 3),
                }
            )
        except RefusedError as error:
            self._pipe.send({"op": "refused", "job": job, "category": error.category})
        except CancelledError:
            self._pipe.send({"op": "cancelled", "job": job})
        except SafelightError as error:
            self._failed(job, error.code, error)
        except MemoryError as error:
            self._failed(job, NoMemoryError.code, error)
        except Exception as error:  # noqa: BLE001 - reported to the keeper, then the end
            # Unknown state (a broken GPU context, say): a fresh process is the only sure cure.
            self._pipe.send({"op": "ending"})
            self._failed(job, SafelightError.code, error)
            broken = True
        finally:
            self._cancelled.discard(job)
        if broken:
            raise SystemExit(BROKEN_EXIT)

    def _failed(self, job: str, code: str, error: BaseException) -> None:
        self._pipe.send({"op": "failed", "job": job, "code": code, "where": where_of(error)})


def _draw_once(engine: Engine, classifier: Classifier, catalogue: Catalogue) -> None:
    """Draw and check one step with the bundled model, so that the first job finds all loaded.

    What fails here is left for a job to find: it is told to whoever asked, by its code.
    """
    from safelight.engine import QuietWatch

    model = catalogue.models()[0]
    recipe = Recipe(
        prompt=Secret("a lamp"),
        model=model.digest,
        width_px=model.native_size_px,
        height_px=model.native_size_px,
        steps=1,
        guidance=model.default_guidance,
        seed=0,
    )
    with contextlib.suppress(Exception):
        for picture in engine.run(engine.plan(recipe), {}, QuietWatch()):
            classifier.check(picture.pixels)


def _order(header: dict[str, Any], parts: list[bytes]) -> Order:
    from safelight.darkroom.develop import Order

    return Order(
        job=header["job"],
        recipe=Recipe.from_canonical(parts[0]),
        inputs=dict(zip(header["inputs"], parts[1:], strict=True)),
        media_type=header["media_type"],
        kept=header["kept"],
        previews=header["previews"],
    )


def main(argv: list[str] | None = None) -> None:
    """Entry point; the keeper passes the number of an open socket."""
    parser = argparse.ArgumentParser(prog="safelight.darkroom.engine_process")
    parser.add_argument("--fd", type=int, required=True)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--confine", default="auto")
    args = parser.parse_args(argv)
    pipe = FramePipe(socket.socket(fileno=args.fd))
    # Libraries ask for a temporary folder when they are imported, and look for one they can write.
    tempfile.tempdir = os.environ.get("TMPDIR", os.sep)
    with contextlib.suppress(OSError):
        os.nice(NICENESS)
    try:
        report = confine(args.confine, probe_folders=[args.home])
    except SafelightError as error:
        pipe.send({"op": "cannot-start", "code": error.code, "where": "confine"})
        sys.exit(BROKEN_EXIT)
    try:
        EngineProcess(pipe, args.home, args.device).serve(report)
    except OSError:
        os._exit(0)  # the keeper is gone


if __name__ == "__main__":
    main()
