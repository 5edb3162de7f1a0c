"""Names as an attack; without TensorFlow, for the tests in the browser."""

PAYLOADS = [
    "<img src=x onerror=alert(1)>", "<script>alert(1)</script>", "\"onmouseover=\"alert(1)", "</style><b onclick=x>",
    "$\\href{javascript:alert(1)}{x}$", "x" * 10_000, "\u202eevil\u202c", "\0nul", "\U0001f600",
    "'><svg/onload=alert(1)>",
]  # fmt: skip
