"""The configuration of a training: options, presets and recipes."""
