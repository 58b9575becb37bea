"""The darkroom: sees, and cannot remember.

Two processes per device. The *keeper* (``python -m safelight.darkroom``) holds the keys, in memory
only, and has no engine in it. The *engine process* (``safelight.darkroom.engine_process``) draws
and
checks the pictures, and holds no key. They speak :mod:`safelight.frames` over a socket pair.
Neither has a database, an object store, a network or a writable disk.

Note [what each process sees]
    keeper          the opened request, the finished pictures, its own secret keys
    engine process  the recipe, the input pictures, the pixels; no key, no account, no recipient
    desk            sealed bytes, ids, the cost header, progress counts, outcomes without a category
"""
