"""Pages that one listens to: of one scored set, and of several systems."""
