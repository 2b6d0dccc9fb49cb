"""What a training can be told: options, presets and recipes."""
