"""Mutated program files, a few thousand of them; ``scripts/fuzz_programs`` tries 100,000."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path


def test_mutated_files_are_refused_or_sound_soon_and_in_little_memory() -> None:
    script = Path(__file__).with_name("program_mutations.py")
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(script), "1000000", "3000"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["refused"] + told["accepted"] + told["run"] == 3000
    assert told["refused"] > 2000
    assert told["run"] > 20
    assert told["peak_mib"] < 1000
