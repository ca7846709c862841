"""Side by side with the peers, in one command; the figures go to ``benchmarks/results``.

    python benchmarks/run.py [--only mlp,direct,...] [--rounds 12] [--quick]

The same as ``leanspike bench --out benchmarks/results``; the code is in ``leanspike/bench``, so that an installed
package can run it too. docs/reference/benchmarks.md says what every table measures.
"""

from __future__ import annotations

import sys
from pathlib import Path

from leanspike.cli import main

RESULTS = Path(__file__).parent / "results"

if __name__ == "__main__":
    arguments = sys.argv[1:]
    keep = [] if "--quick" in arguments or "--out" in arguments else ["--out", str(RESULTS)]
    raise SystemExit(main(["bench", *arguments, *keep]))
