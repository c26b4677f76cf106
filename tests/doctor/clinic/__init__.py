"""Small implementations with known faults, and right ones in different styles."""
