"""Files that travel with the program: class names, price table, demo definitions."""
