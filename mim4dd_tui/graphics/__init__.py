"""Pictures as pixels, for terminals that can show them: kitty graphics and sixel, by explicit choice only."""
