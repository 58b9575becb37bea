"""The evil server: a real one behind a proxy that rewrites answers. No client may fall for it.

Protocol section 9, E1-14. Each attack ends in a named error of the integrity branch or a refused
downgrade, and nothing that a person wrote reaches the evil key: every byte that was sent is kept
and looked through. Attack 14 (a forked ledger) is a forked vault head here: there is no ledger yet.
"""
