"""From files to text by place: one file per format, `dispatch` to choose, `jail` to survive them."""
