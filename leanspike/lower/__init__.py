"""From a trained network of floats to a program of integers."""
