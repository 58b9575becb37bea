"""A keeper whose engine process goes wrong on purpose: ``bad_keeper.py FAULT [options]``."""

from __future__ import annotations

import sys
from pathlib import Path

from safelight.darkroom.__main__ import main

if __name__ == "__main__":
    fault = sys.argv.pop(1)
    if fault == "leaks":
        sys.path.insert(0, str(Path(__file__).parent.parent / "privacy"))
        import mutants

        mutants.install_in_keeper(Path(sys.argv[sys.argv.index("--home") + 1]))
    engine = Path(__file__).with_name("bad_engine.py")
    sys.exit(main(engine_command=[sys.executable, str(engine), fault]))
