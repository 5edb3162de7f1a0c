"""At which size does a network look at pictures, and at which were they trained?"""
