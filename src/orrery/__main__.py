"""`python -m orrery` is `orrery`."""

from __future__ import annotations

import sys

from orrery.cli import main

if __name__ == "__main__":
    sys.exit(main())
