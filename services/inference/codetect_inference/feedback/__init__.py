"""What readers say of findings: opinions, a second reader's decisions, and the labels that come of them."""
