"""The unified platform: what people see of the two applications' databases once they are one. docs/platform.md."""
