"""Jobs that a server's requests start, and the worker that does them."""
