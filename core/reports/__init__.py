"""The read side: what the pages and the exports show. Only reads, only own rows, few queries."""
