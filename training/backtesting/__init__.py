"""The rooms behind `training.backtest`: when, what stood then, what came true, and how it is told."""
