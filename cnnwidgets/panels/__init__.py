"""Controls and pictures in the notebook: draw frames, start jobs, hold no mathematics."""
