"""Which parts of an explanation run inside a TensorFlow graph?"""
