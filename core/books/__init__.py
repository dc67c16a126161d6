"""Pure accounting: Stripe facts and a mapping become documents. No I/O, no database, no provider types."""
