"""Jobs: what takes long, each in a detached process that outlives the terminal."""
