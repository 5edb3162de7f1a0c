"""How is evidence computed? Each method as small functions, with its paper."""
