"""Numbers for Prometheus. No prompt, user or file name is among them."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from diffusion.server.engine.interface import Engine, EngineState
from diffusion.server.engine.messages import ModelsChanged

__all__ = ["Metrics"]

_DELAYS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.2, 0.5, 1, 5)
_SECONDS = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300)


class Metrics:
    """The server's counters, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        own = self.registry
        self.queue_depth = Gauge("diffusion_queue_depth", "Jobs that wait", registry=own)
        self.running = Gauge("diffusion_jobs_running", "Jobs that are drawn", registry=own)
        self.ready = Gauge("diffusion_ready", "1 while a device can draw", registry=own)
        self.jobs = Counter("diffusion_jobs_total", "Jobs by end", ["state"], registry=own)
        self.refused = Counter(
            "diffusion_jobs_refused_total", "Jobs by refusal", ["why"], registry=own
        )
        self.pictures = Counter(
            "diffusion_pictures_total", "Pictures that were drawn", registry=own
        )
        self.restarts = Counter(
            "diffusion_worker_restarts_total", "Restarts of workers", ["worker"], registry=own
        )
        self.worker_ready = Gauge(
            "diffusion_worker_ready", "1 while a worker can draw", ["worker"], registry=own
        )
        self.worker_jobs = Gauge(
            "diffusion_worker_jobs", "Jobs that a worker draws", ["worker"], registry=own
        )
        self.gpu_bytes = Gauge(
            "diffusion_gpu_bytes", "Memory of devices", ["worker", "kind"], registry=own
        )
        self.step_seconds = Histogram(
            "diffusion_step_seconds", "Time from step to step", buckets=_SECONDS, registry=own
        )
        self.job_seconds = Histogram(
            "diffusion_job_seconds",
            "Time from start to end of a job",
            buckets=_SECONDS,
            registry=own,
        )
        self.loop_lag = Histogram(
            "diffusion_loop_lag_seconds",
            "How late the event loop is",
            buckets=_DELAYS,
            registry=own,
        )

    def count_running(self, jobs: Mapping[Engine, int]) -> None:
        """Note how many jobs each worker draws, and whether it can draw at all."""
        ready = [engine.status.state is EngineState.READY for engine in jobs]
        self.ready.set(any(ready))
        self.running.set(sum(jobs.values()))
        for is_ready, (engine, count) in zip(ready, jobs.items(), strict=True):
            self.worker_ready.labels(engine.name).set(is_ready)
            self.worker_jobs.labels(engine.name).set(count)

    def count_bytes(self, engine: Engine, now: ModelsChanged) -> None:
        """Note the memory that a worker's device has given out."""
        in_models = sum(each.nbytes for each in now.models)
        self.gpu_bytes.labels(engine.name, "reserved").set(now.reserved)
        self.gpu_bytes.labels(engine.name, "models").set(in_models)

    def text(self) -> bytes:
        """Return all numbers in the form that Prometheus reads."""
        return generate_latest(self.registry)
