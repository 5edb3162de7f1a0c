"""Which pictures excite each unit most? The search in the user's pictures, and what an atlas stores of it."""
