"""Large video models that dress a film: what is asked of one, what each takes, and how it is run."""
