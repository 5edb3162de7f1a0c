"""Background runs of iterators, and a cache of results; knows neither Keras nor widgets.

- `Job`: one run of an iterator: state, pause, stop, error; keeps only the newest frame
- `Worker`: the one thread that owns the device and steps the jobs; `worker()` is the shared one
- `Publisher`: passes a job's newest frame to its display, no faster than it is acknowledged
- `Cache`: finished results on disk, crash-safe
"""

from cnnwidgets.jobs.cache import Cache, CacheWarning
from cnnwidgets.jobs.job import Job
from cnnwidgets.jobs.publisher import Publisher
from cnnwidgets.jobs.worker import Worker, worker

__all__ = ["Cache", "CacheWarning", "Job", "Publisher", "Worker", "worker"]
