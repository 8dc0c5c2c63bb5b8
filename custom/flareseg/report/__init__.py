"""What a run did, as facts (JSON), as a page for the lead, and as a page that stays at a site."""
