"""Single sign-on: connections to identity providers, what they assert, and which account and role that is."""
