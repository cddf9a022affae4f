"""Ground floor: the words that every room uses. No business rule lives here."""
