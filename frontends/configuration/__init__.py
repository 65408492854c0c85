"""A checked architecture file and a config document -> config values and declared weights with their shapes."""
