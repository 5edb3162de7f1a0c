"""Everything on one unit, on one page."""
