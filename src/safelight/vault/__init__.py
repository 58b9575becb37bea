"""The vault: age files, containers, signed manifests, sealed requests, OPAQUE.

Pure functions over bytes; no file, no socket, no clock of its own. The only room that imports
pyrage and opaque_snake. The bytes are described in ``docs/spec/`` and fixed by ``tests/vectors/``.
"""
