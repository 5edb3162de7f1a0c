"""A network as a drawing to point at."""
