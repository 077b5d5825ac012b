"""What the service counts and measures, in the form that Prometheus reads; one registry for each application.

Owns the names, which are promised to dashboards. Labels take a bounded set of values only: no text that was recognised
and no path that a client made up becomes one.
"""

from collections.abc import Callable, Iterator, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from app.inference.production import Production
from app.tasks import Prediction

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
METHODS = {"GET", "HEAD", "POST"}
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
CONFIDENCES = (0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999, 1.0)


class Models(Collector):
    """Which model answers for each task, how often it was swapped, and how many versions were refused."""

    def __init__(self, productions: Mapping[str, Production]) -> None:
        """Take what is asked at every reading."""
        self._productions = productions

    def collect(self) -> Iterator[Metric]:
        """Read the state of every task now."""
        models = InfoMetricFamily("penpress_model", "the model that answers", labels=["task"])
        swaps = CounterMetricFamily("penpress_swaps", "versions that became live after the first", labels=["task"])
        refusals = CounterMetricFamily("penpress_refusals", "versions that failed a check", labels=["task"])
        for task, production in self._productions.items():
            if live := production.live:
                details = {"version": live.version, "alias": live.place.alias or "", "sha256": live.description.sha256}
                models.add_metric([task], details)
            swaps.add_metric([task], production.swaps)
            refusals.add_metric([task], len(production.refused))
        yield from (models, swaps, refusals)


class Metrics:
    """The metrics of one service. May be used from several threads."""

    def __init__(self, productions: Mapping[str, Production]) -> None:
        """Begin at zero."""
        self.registry = registry = CollectorRegistry()
        registry.register(Models(productions))
        self._requests = Counter(
            "penpress_requests", "answered requests", ["method", "path", "status"], registry=registry
        )
        self._request_seconds = Histogram(
            "penpress_request_seconds",
            "from the head of a request to its answer",
            ["path"],
            buckets=SECONDS,
            registry=registry,
        )
        self._stage_seconds = Histogram(
            "penpress_stage_seconds", "decode, preprocess, infer, log", ["stage"], buckets=SECONDS, registry=registry
        )
        self._predictions = Counter("penpress_predictions", "answers by class", ["task", "label"], registry=registry)
        self._uncertain = Counter("penpress_uncertain", "answers flagged as uncertain", ["task"], registry=registry)
        self._confidence = Histogram(
            "penpress_confidence", "calibrated confidence of answers", ["task"], buckets=CONFIDENCES, registry=registry
        )
        self.workers_lost = Counter(
            "penpress_workers_lost", "processes that ended, or were ended, before they answered", registry=registry
        )
        self.in_flight = Gauge("penpress_requests_in_flight", "requests begun and not answered", registry=registry)

    def gauge(self, name: str, about: str, value: Callable[[], float]) -> None:
        """Add a value that is asked for at every reading."""
        Gauge(name, about, registry=self.registry).set_function(value)

    def requested(self, method: str, path: str, status: int, seconds: float) -> None:
        """Count a request; *path* is the route's, not what the client sent."""
        self._requests.labels(method if method in METHODS else "other", path, status).inc()
        self._request_seconds.labels(path).observe(seconds)

    def took(self, stages: Mapping[str, float]) -> None:
        """Observe the seconds of the stages of an answer."""
        for stage, seconds in stages.items():
            self._stage_seconds.labels(stage).observe(seconds)

    def predicted(self, task: str, prediction: Prediction) -> None:
        """Count an answer; a transcribed text is counted as such, since it may be any."""
        label = prediction.label if prediction.label in prediction.probabilities else "text"
        self._predictions.labels(task, label).inc()
        self._uncertain.labels(task).inc(prediction.uncertain)
        self._confidence.labels(task).observe(prediction.confidence)

    def page(self) -> bytes:
        """All metrics in Prometheus's text format."""
        return generate_latest(self.registry)
