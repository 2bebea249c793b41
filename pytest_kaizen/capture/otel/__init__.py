"""OpenTelemetry: spans of other instrumentation come in, traces go out as OTLP."""
