"""The tests' own way to start a server: ``launch.py HOME FAULT``.

The server is the real one. Its darkroom's engine is the tests' painter (or, with FAULT
``diffusers:any``, the real engine), which does as FAULT says; see ``tests/faults/bad_engine.py``.
With FAULT ``leaks`` every leak of ``mutants.py`` is built in. Nothing of this is in the product.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from safelight.fleet.local import LocalFleet
from safelight.server.serve import serve
from safelight.settings import load_settings

KEEPER = Path(__file__).parent.parent / "faults" / "bad_keeper.py"

if __name__ == "__main__":
    home, fault = Path(sys.argv[1]), sys.argv[2]
    real = LocalFleet.__init__

    def init(self: LocalFleet, settings: Any, **more: Any) -> None:
        real(self, settings, **more, keeper_command=[sys.executable, str(KEEPER), fault])

    LocalFleet.__init__ = init  # type: ignore[method-assign]
    if fault == "leaks":
        import mutants

        mutants.install_in_server(home)
    sys.exit(serve(load_settings(home, port=0)))
