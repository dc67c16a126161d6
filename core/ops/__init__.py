"""What whoever runs an installation looks at: heartbeats, figures without any tenant in them, and the doctor."""
