"""GGUF files, as llama.cpp stores models: metadata, tensors in quantised blocks, vocabulary, chat template."""
