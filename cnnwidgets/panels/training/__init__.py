"""The panel on a model while it trains."""
