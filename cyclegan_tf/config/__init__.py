"""What a training can be told: options, presets, recipes, directions."""
