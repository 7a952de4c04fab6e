"""Traces by OpenTelemetry, where its own OTEL_* variables ask for them; without them none of its SDK is loaded.

FastAPI itself makes the spans of requests. A run's span carries on the trace of the request that asked for it: the
traceparent is kept in the run's row, as messages may be lost.
"""

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

import structlog
from opentelemetry import propagate, trace
from opentelemetry.trace import Span, SpanKind, Status, StatusCode
from sqlalchemy import Engine, event
from sqlalchemy.engine import ExceptionContext, ExecutionContext

_ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS: Final = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_HTTP: Final = "http/protobuf"
_LAST_S: Final = 3.0
_SPAN: Final = "telemetry_span"
_tracer: Final = trace.get_tracer("paper-verdicts")
_log = structlog.get_logger(__name__)


def is_wanted(environment: Mapping[str, str]) -> bool:
    """Whether the variables name somewhere to send traces to."""
    if environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    exporter = environment.get("OTEL_TRACES_EXPORTER", "otlp").strip().lower() or "otlp"
    return exporter == "otlp" and any(environment.get(name) for name in _ENDPOINTS)


def start_telemetry(service: str) -> None:
    """Send this process's traces where the variables say; `service` is its name unless they say that, too.

    Does nothing where nothing is asked for, or was started already. What cannot be done is said in the log: a service
    does not stay down for want of an observer.
    """
    if not is_wanted(os.environ) or not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        return
    protocol = next((os.environ[name] for name in _PROTOCOLS if os.environ.get(name)), _HTTP)
    if protocol != _HTTP:
        _log.warning("telemetry_protocol_unknown", protocol=protocol, known=_HTTP)
        return
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415  # the extra
        from opentelemetry.sdk.resources import SERVICE_NAME, Resource  # noqa: PLC0415  # as above
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415  # as above
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415  # as above
    except ImportError:
        _log.warning("telemetry_not_installed", mend="pip install 'paper-verdicts[telemetry]'")
        return
    named = os.environ.get("OTEL_SERVICE_NAME") or SERVICE_NAME in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
    resource = Resource.create({} if named else {SERVICE_NAME: service})
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)  # see stop_telemetry
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)


def stop_telemetry() -> None:
    """Send what was not sent yet; a receiver that does not take it holds the process up for a moment only."""
    shutdown = getattr(trace.get_tracer_provider(), "shutdown", None)
    if shutdown is not None:
        last = threading.Thread(target=shutdown, name="telemetry", daemon=True)
        last.start()
        last.join(_LAST_S)


def traceparent() -> str | None:
    """The present trace, as W3C's traceparent; None where nothing is traced."""
    carrier: dict[str, str] = {}
    propagate.inject(carrier)
    return carrier.get("traceparent")


@contextmanager
def continued(name: str, parent: str | None, **attributes: str | int) -> Iterator[None]:
    """A span that carries on the trace of `parent`, or begins one."""
    context = propagate.extract({"traceparent": parent} if parent else {})
    with _tracer.start_as_current_span(name, context, SpanKind.CONSUMER, attributes):
        yield


def failed(code: str) -> None:
    """What is traced at present ends with an error of this code."""
    trace.get_current_span().set_status(Status(StatusCode.ERROR, code))


def trace_sql(engine: Engine) -> None:
    """Have each statement be a span of the request or run that it is for. What belongs to neither is not traced.

    By SQLAlchemy's events: OpenTelemetry's own package does not take SQLAlchemy 2.1 yet.
    """
    if isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        return
    event.listen(engine, "before_cursor_execute", _begin)
    event.listen(engine, "after_cursor_execute", _end)
    event.listen(engine, "handle_error", _end_badly)


def _begin(
    _connection: object, _cursor: object, statement: str, _parameters: object, context: ExecutionContext, _many: object
) -> None:
    if not trace.get_current_span().get_span_context().is_valid:
        return
    attributes = {"db.system.name": "postgresql", "db.query.text": statement}
    name = (statement.split(None, 1) or ["SQL"])[0].upper()
    vars(context)[_SPAN] = _tracer.start_span(name, kind=SpanKind.CLIENT, attributes=attributes)


def _end(
    _connection: object, _cursor: object, _statement: str, _parameters: object, context: ExecutionContext, _many: object
) -> None:
    span = _taken(context)
    if span is not None:
        span.end()


def _end_badly(error: ExceptionContext) -> None:
    span = _taken(error.execution_context)
    if span is not None:
        span.set_status(Status(StatusCode.ERROR, type(error.original_exception).__name__))
        span.end()


def _taken(context: ExecutionContext | None) -> Span | None:
    span: Span | None = vars(context).pop(_SPAN, None) if context is not None else None
    return span
