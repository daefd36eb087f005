"""What nobody would send, sent to a service in great numbers."""
