"""What Stripe tells us: events on their way in, facts fetched, access to an account."""
