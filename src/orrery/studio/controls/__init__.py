"""Control streams: what is where in a film, exact, in the forms that large video models are guided by."""
