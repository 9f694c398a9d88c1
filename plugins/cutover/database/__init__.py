"""What the engine says to PostgreSQL and hears from it: connections, the catalogue, statements, its errors in words."""
