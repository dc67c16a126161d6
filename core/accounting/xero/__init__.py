"""Xero behind the port."""
