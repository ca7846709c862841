"""Figures of merit from plain arrays: quality, activity, latency, early exit, Pareto front, and the results file."""
