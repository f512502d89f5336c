"""Bad input, one table for two judges; what a row is, `bad_input` says."""

from tests.model import bad_lengths, bad_placement, bad_sense, bad_sizes, bad_values

ROWS = [*bad_values.ROWS, *bad_lengths.ROWS, *bad_sizes.ROWS, *bad_placement.ROWS, *bad_sense.ROWS]
