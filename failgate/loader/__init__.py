"""From the names in the config to opened plugins: entry points looked up, settings read, slots filled.

Only a plugin that the config names is imported. Everything wrong with the config is listed at once, the plugins' own
settings included; a plugin that does not open stops the start and is named. Plugins open in the order of the config and
close in reverse, also when a later one fails.
"""
