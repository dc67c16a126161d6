"""QuickBooks Online through its Accounting API. Source of every rule here: Intuit's developer pages and its XSD."""
