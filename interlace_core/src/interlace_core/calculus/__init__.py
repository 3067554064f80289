"""Mathematics without a model: links, jets (derivatives), special functions."""
