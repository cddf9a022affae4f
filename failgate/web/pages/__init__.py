"""The pages: each handler asks one service, builds a value for its template, and shows it."""
