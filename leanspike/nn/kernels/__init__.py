"""The hot loops: :mod:`reference` (torch, any device and dtype), :mod:`cpu` (C, float32) and :mod:`cuda` (Triton)."""
