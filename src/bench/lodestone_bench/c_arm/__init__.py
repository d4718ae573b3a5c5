"""The bench's C-arm: where it stands, what its rays pass, what its detector makes of them."""
