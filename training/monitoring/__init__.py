"""What `training.monitor` looks at: one room a question, the verdict last."""
