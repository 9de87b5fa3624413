"""Reading logs again: lines, selection, arithmetic, and the screen to the letter."""
