from __future__ import annotations

import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
# The examples are not part of the package; as a namespace package they are checked for types too.
sys.path.insert(0, str(REPOSITORY))
