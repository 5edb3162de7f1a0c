"""How are concepts found? Crops, their factorization, the importance of each, and the file that keeps them."""
