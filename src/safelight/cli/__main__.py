"""``python -m safelight.cli``."""

import sys

from safelight.cli import main

sys.exit(main())
