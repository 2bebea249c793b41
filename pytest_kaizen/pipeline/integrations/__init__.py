"""Traces that lie elsewhere: connections to MLflow, LangSmith and Braintrust, and the import from them."""
