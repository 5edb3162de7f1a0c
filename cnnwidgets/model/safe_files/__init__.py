"""Can this model file be trusted? Files from strangers are checked before anything in them is built."""
