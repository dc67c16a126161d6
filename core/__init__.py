"""Tieout without a browser: everything that turns Stripe facts into correct books, and proves it."""
