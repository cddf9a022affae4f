"""The one config file: every key typed, every mistake reported at once with its line."""
