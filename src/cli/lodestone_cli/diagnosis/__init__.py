"""What `lodestone doctor` looks at: one function a subject, each returning findings with a remedy."""
