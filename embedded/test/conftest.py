"""What the tests of the set-up share."""

import sys
from pathlib import Path

# The set-up is a script beside a folder of modules, not an installed package.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
