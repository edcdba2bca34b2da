"""What people look at: pages of runs, with curves and films."""
