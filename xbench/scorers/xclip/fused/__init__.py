"""The similarity fused for GPUs: a pair's words x frames tile stays on chip, one number a pair is written."""
