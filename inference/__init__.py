"""What we believe after looking (q), and how we learn it."""
