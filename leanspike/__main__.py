"""``python -m leanspike``."""

import sys

from leanspike.cli import main

sys.exit(main())
