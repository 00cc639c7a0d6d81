"""What people write down beside a study's results."""
