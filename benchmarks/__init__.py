"""What pavane costs beside the bare libraries; `make bench` runs them."""
