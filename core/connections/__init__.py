"""A tenant's links to Stripe and to its books: connect, keep alive, disconnect."""
