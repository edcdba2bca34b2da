"""From a storyboard to a film: shots, cameras, looks."""
