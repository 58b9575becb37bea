"""An engine process that goes wrong on purpose: the real one, with one fault patched in.

Run by ``bad_keeper.py``, as ``bad_engine.py FAULT [options of the engine process]``. FAULT is
``<what>:<stage>``; with ``diffusers:`` before it the engine is the real one, else the painter. It
happens while the file ``calm`` is missing in the home folder: the test makes that file between two
tries, so that the second one is sound (the process may read everywhere and write nowhere, so it
cannot remember by itself).
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from safelight.darkroom import engine_process

STAGES = ("start", "warm", "plan", "step", "gate", "encode", "thumb", "picture", "done")


def calm() -> bool:
    """Whether the test has ended the trouble."""
    home = Path(sys.argv[sys.argv.index("--home") + 1])
    return (home / "calm").exists()


STARTED = time.time()


def trouble(stage: str) -> None:
    """Act as the file ``trouble`` in the home folder says, if it is newer than this process.

    So a test can ask a running darkroom for one fault: the process that comes after it is sound.
    """
    path = Path(sys.argv[sys.argv.index("--home") + 1]) / "trouble"
    if path.exists() and path.stat().st_mtime > STARTED:
        what, _, wanted = path.read_text(encoding="ascii").partition(":")
        if wanted == stage:
            FAULTS[what]()


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def hang() -> None:
    time.sleep(3600)


def memory() -> None:
    raise MemoryError


def surprise() -> None:
    raise RuntimeError("a library's message, which may repeat the prompt")


FAULTS: dict[str, Callable[[], None]] = {
    "kill": kill,
    "hang": hang,
    "memory": memory,
    "surprise": surprise,
}


def before(owner: Any, name: str, act: Callable[[], None], when: Callable[..., bool]) -> None:
    """Make ``owner.name`` act first, whenever ``when(*args)`` holds and it is not calm."""
    real = getattr(owner, name)

    def wrapped(*args: Any, **more: Any) -> Any:
        if when(*args, **more) and not calm():
            act()
        return real(*args, **more)

    setattr(owner, name, wrapped)


def always(*_args: Any, **_more: Any) -> bool:
    return True


def sends(op: str) -> Callable[..., bool]:
    return lambda _pipe, header, *_parts: header["op"] == op


def install_all() -> None:
    """Be ready for any fault that the file ``trouble`` asks for."""
    for stage in STAGES[2:]:
        FAULTS[stage] = lambda stage=stage: trouble(stage)
        install(f"{stage}:{stage}")


def install(fault: str) -> None:
    what, _, stage = fault.partition(":")
    act = FAULTS[what]
    from safelight.darkroom import pipe

    if stage == "start":
        if not calm():
            act()
    elif stage in ("warm", "picture", "done"):
        before(pipe.FramePipe, "send", act, sends(stage))
    elif stage == "plan":
        from painter import Painter
        from safelight.engine.diffusers_engine import DiffusersEngine

        for engine in (Painter, DiffusersEngine):  # the first plan is the warm-up's
            before(engine, "plan", act, lambda _self, recipe: recipe.steps > 1)
    elif stage == "step":
        from safelight.darkroom.develop import Reporter

        before(Reporter, "step", act, lambda _self, progress: progress.step == 2)
    elif stage == "gate":
        from safelight.engine.classifier import Classifier

        before(Classifier, "gate", act, always)
    elif stage in ("encode", "thumb"):
        from safelight.engine import output

        before(output, stage, act, always)
    else:
        raise SystemExit(f"no stage {stage}")


if __name__ == "__main__":
    engine_process.NICENESS = 0  # other tests' work must not starve this one
    fault = sys.argv.pop(1)
    sys.path.insert(0, str(Path(__file__).parent.parent))
    if fault.startswith("diffusers:"):
        fault = fault.partition(":")[2]
    else:
        import painter

        painter.install()
    if fault.startswith("classifier:"):
        import bad_classifier

        bad_classifier.install(fault.partition(":")[2])
    elif fault in ("any", "leaks"):
        install_all()
        if fault == "leaks":
            sys.path.insert(0, str(Path(__file__).parent.parent / "privacy"))
            import mutants

            mutants.install_in_engine(Path(sys.argv[sys.argv.index("--home") + 1]))
    elif fault != "none":
        install(fault)
    engine_process.main()
