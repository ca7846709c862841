"""Streams: events or values in, decisions out, for ever; what is dropped is counted."""
