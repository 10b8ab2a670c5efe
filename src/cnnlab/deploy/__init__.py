"""A trained run put to use: predictions for images, tables to hand in."""
