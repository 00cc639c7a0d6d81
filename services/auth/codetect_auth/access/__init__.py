"""How people come in: asking, being invited, agreeing to terms, and getting back in without the password."""
