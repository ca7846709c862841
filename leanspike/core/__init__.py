"""Errors, frozen configuration records, counter-based random numbers and atomic files: imports nothing of ours."""
