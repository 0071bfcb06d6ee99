"""The brain: looks at pictures. Nothing in here ever sees a file's name or an id."""
