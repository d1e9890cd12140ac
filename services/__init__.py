"""The reference services. Each owns its data and shares nothing with the others but `contracts`."""
