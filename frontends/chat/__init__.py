"""Chat templates: where a checkpoint keeps them, and rendering them in a sandbox."""
