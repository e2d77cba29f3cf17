"""What is trained of a base, and adapters made from it."""
