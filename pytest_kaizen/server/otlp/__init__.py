"""OpenTelemetry's protocol: spans of any instrumentation become traces."""
