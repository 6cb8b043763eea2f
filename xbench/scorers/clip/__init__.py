"""What every CLIP-based scorer shares: the tokenizer, the weights in their several layouts, the towers."""
