"""The compute core: arrays in, arrays or frames out. No widget, no thread, no print."""
