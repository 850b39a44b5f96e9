"""What the scripts `study_*.py` share: flags, cells and their tables, the style of pictures."""
