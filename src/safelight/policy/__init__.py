"""Pure rules, without I/O: plans and prices, what is refused, and what we say out loud."""
