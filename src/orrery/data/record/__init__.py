"""Making data sets: sources of episodes, and the run that records them."""
