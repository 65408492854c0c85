"""The four dialects: slm (transformer), slmq (exact numbers), tile (buffers and engines), isa (instructions)."""
