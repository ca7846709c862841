"""One file a framework: each prepares the workloads as that framework's own documentation would.

A module here imports its framework at the top, so that importing it fails with ImportError where the
framework is missing; :mod:`leanspike.bench.candidates` turns that into "not installed".
"""
