"""What the screen draws, as pure functions: reformats, cross-sections, the tree in 3-D."""
