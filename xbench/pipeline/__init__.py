"""The flow of a run; the only place that knows every stage."""
