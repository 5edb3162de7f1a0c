"""A package, so that its server and browser end with its last test and not with the whole run."""
