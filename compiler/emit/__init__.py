"""From the last IR to bytes: packed weights, tables, text, debug map, the executable."""
