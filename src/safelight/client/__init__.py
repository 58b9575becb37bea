"""The client: the SDK and the sealing transport. Installs without torch, knows no server room."""
