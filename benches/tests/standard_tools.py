"""Reads every .hlog of a folder with PyPI's hdrhistogram and prints, for each interval, file, tag, count, p50, p99.9, max."""

import pathlib
import sys

from hdrh.log import HistogramLogReader
from hdrh.histogram import HdrHistogram

for path in sorted(pathlib.Path(sys.argv[1]).glob("*.hlog")):
    reference = HdrHistogram(1, 60_000_000_000, 3)
    reader = HistogramLogReader(str(path), reference)
    while (interval := reader.get_next_interval_histogram()) is not None:
        print(
            path.stem,
            interval.get_tag(),
            interval.get_total_count(),
            interval.get_value_at_percentile(50),
            interval.get_value_at_percentile(99.9),
            interval.get_max_value(),
        )
