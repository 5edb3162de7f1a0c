"""One run of a panel: its job, its history, and what the page shows of it while it computes."""
