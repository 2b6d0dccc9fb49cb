"""The same training step, faster or in less memory."""
