"""Side by side with the peer frameworks: the same work, in turns, in one run.

:mod:`workloads` says what is computed, :mod:`ours` and :mod:`peers` compute it, :mod:`worker` times it in
processes that take turns, :mod:`tables` lists what is compared, :mod:`memory` measures peak memory, and
:mod:`results` writes tables, JSON and plots. A top layer: it may import everything, nothing imports it but
the command line.
"""
