"""A whole network's pictures: made by one process or many, kept in Zarr, opened anywhere."""
