"""Which pictures does a network take, and how are they given to it?"""
