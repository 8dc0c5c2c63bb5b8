"""What a site lets out, and at what price: scopes, the bound on updates, differential privacy and its budget."""
