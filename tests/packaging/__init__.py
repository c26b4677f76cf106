"""What is published: requirements, their pins, the wheel."""
