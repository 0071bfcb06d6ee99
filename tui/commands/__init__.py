"""The commands, by subject. stdout is data, stderr is narration."""
